import { StoreUnavailableError } from '../../store.ts'

/** Temporary refusals: Redis is full, starting, a replica, or without the required quorum or replicas. */
const passing =
  /^(OOM|LOADING|READONLY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|NOREPLICAS|UNBLOCKED|MISCONF|BUSY|UNKILLABLE|NOAUTH|NOPERM)\b/

/**
 * Maps the error of a failed command to a store error. The error of ioredis is never passed on, because it contains the
 * command's arguments, and so the message bodies.
 */
export function toStoreError(error: unknown): Error {
  if (error instanceof StoreUnavailableError) return error
  const { name, message } = error instanceof Error ? error : new Error(String(error))
  if (name !== 'ReplyError' || passing.test(message))
    return new StoreUnavailableError(textOf(name, message), { isFull: /^OOM\b/.test(message) })
  return new Error(`Redis refused: ${textOf(name, message)}`)
}

/** Returns true if Redis refused a command because it is full. */
export const isFull = (error: unknown): boolean => error instanceof StoreUnavailableError && error.isFull

/** The error of a script may quote its source line, but contains no arguments. */
const textOf = (name: string, message: string): string =>
  name === 'ReplyError' ? withoutArguments(message).slice(0, 200) : name

/** Removes the arguments that Redis repeats in the error for an unknown command. */
export const withoutArguments = (message: string): string => message.replace(/,? with args beginning with:.*$/s, '')

/** Awaits a command of ioredis and maps its errors. @throws {StoreUnavailableError} */
export async function settled<Reply>(command: Promise<Reply>): Promise<Reply> {
  try {
    return await command
  } catch (error) {
    throw toStoreError(error)
  }
}
