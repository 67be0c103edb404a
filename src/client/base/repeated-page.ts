import { ServerFaultError } from './errors.ts'

/** The error for a listing of which the server repeats a page. */
export const repeatedPage = (): ServerFaultError => new ServerFaultError('the server repeats a page of the listing')
