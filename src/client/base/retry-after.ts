import { ProtocolError } from '../../protocol/errors.ts'
import { UnreachableError } from './errors.ts'

/**
 * Limits on the wait that a node names, s. Its longest one for messages and connections is a minute. A hostile node
 * names any number: the messages of a client must not stop for long, and it must not repeat them without a pause.
 */
const minRetryAfterS = 0.5
const maxRetryAfterS = 60

/** Returns how long to wait before the next attempt, ms; undefined if the node named no time. */
export function retryAfterMs(error: unknown): number | undefined {
  const isFromNode = error instanceof ProtocolError || error instanceof UnreachableError
  const seconds = isFromNode ? error.retryAfter : undefined
  return seconds === undefined ? undefined : Math.min(Math.max(seconds, minRetryAfterS), maxRetryAfterS) * 1_000
}
