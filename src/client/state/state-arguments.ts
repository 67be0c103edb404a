import { StateError } from './state-error.ts'

/** Checks what an application passes to the functions that open and move states. All throw `StateError` `invalid`. */

/** A path or a name. */
export function checkText(value: unknown, what: string): void {
  if (typeof value === 'string' && value !== '' && !value.includes('\0')) return
  throw new StateError('invalid', `${what} must be a text that is not empty.`)
}

export function checkObject(value: unknown, what: string): void {
  if (typeof value !== 'object' || value === null) throw new StateError('invalid', `${what} must be an object.`)
}

export function checkStore(value: unknown): void {
  const isStore = ['transaction', 'read', 'onChange', 'close'].every(
    method => typeof Object(value)[method] === 'function',
  )
  if (!isStore) throw new StateError('invalid', 'The store must be an open one: await the function that opens it.')
}
