import { StateError } from './state-error.ts'
import type { StateReader } from './state-store.ts'

/**
 * Keys of the state itself, next to the client's records. Their values are never encrypted as records.
 *
 * | key | holds |
 * | --- | --- |
 * | `!encryption` | the parameters of the encryption, if the records are encrypted |
 * | `!moved` | exists if the identity was exported |
 */
export const ownKeys = { encryption: '!encryption', moved: '!moved' } as const

/** Returns true for a key that begins with `!`. */
export const isOwnKey = (key: string): boolean => key.startsWith('!')

/** @throws {StateError} `moved` */
export async function requireHere(tx: StateReader, where: string): Promise<void> {
  if (!(await tx.get(ownKeys.moved))) return
  throw new StateError(
    'moved',
    `The identity in ${where} was exported and must not be used here. Import the exported file elsewhere, then remove ${where}.`,
  )
}

/** Returns true if the state has any record of a client. */
export async function hasRecords(tx: StateReader): Promise<boolean> {
  return (await tx.list('', { limit: 3 })).some(([key]) => !isOwnKey(key))
}
