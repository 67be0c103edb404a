import { StoreUnavailableError } from '../../store.ts'

/** Redis refuses for now: it is full, starting, a replica, or without the quorum or replicas it wants. */
const passing =
  /^(OOM|LOADING|READONLY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|NOREPLICAS|UNBLOCKED|MISCONF|BUSY|UNKILLABLE|NOAUTH|NOPERM)\b/

/**
 * What a failed command means to the node. The error of ioredis is never passed on: it carries the command's arguments,
 * and with them what agents wrote.
 */
export function toStoreError(error: unknown): Error {
  if (error instanceof StoreUnavailableError) return error
  const { name, message } = error instanceof Error ? error : new Error(String(error))
  if (name !== 'ReplyError' || passing.test(message)) return new StoreUnavailableError(textOf(name, message))
  return new Error(`Redis refused: ${textOf(name, message)}`)
}

/** A script's error may quote its line, but no argument. */
const textOf = (name: string, message: string): string =>
  name === 'ReplyError' ? withoutArguments(message).slice(0, 200) : name

/** Of a command that Redis does not know it repeats the arguments. */
export const withoutArguments = (message: string): string => message.replace(/,? with args beginning with:.*$/s, '')

/** Waits for commands of ioredis. @throws {StoreUnavailableError} */
export async function settled<Reply>(command: Promise<Reply>): Promise<Reply> {
  try {
    return await command
  } catch (error) {
    throw toStoreError(error)
  }
}
