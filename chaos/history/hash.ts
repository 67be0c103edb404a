import { hash } from 'node:crypto'

/** SHA-256 of a text, base64url. */
export const hashOf = (text: string): string => hash('sha256', text, 'base64url')
