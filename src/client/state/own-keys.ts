import { StateError } from './state-error.ts'
import type { StateReader } from './state-store.ts'

/**
 * What the state keeps about itself, beside the records of the client and never encrypted:
 *
 * | key | holds |
 * | --- | --- |
 * | `!encryption` | how the records are encrypted; there when they are |
 * | `!moved` | that the identity was exported |
 */
export const ownKeys = { encryption: '!encryption', moved: '!moved' } as const

/** `!` and all that begins so. */
export const isOwnKey = (key: string): boolean => key.startsWith('!')

/** @throws {StateError} `moved` */
export async function requireHere(tx: StateReader, where: string): Promise<void> {
  if (!(await tx.get(ownKeys.moved))) return
  throw new StateError(
    'moved',
    `The identity in ${where} has moved: it was exported, and must not go on here. Import the exported file where it shall live; then remove ${where}.`,
  )
}

/** Whether there is any record of a client. */
export async function hasRecords(tx: StateReader): Promise<boolean> {
  return (await tx.list('', { limit: 3 })).some(([key]) => !isOwnKey(key))
}
