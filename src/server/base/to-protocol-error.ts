import { ProtocolError } from '../../protocol/errors.ts'
import { StoreUnavailableError } from '../store/store.ts'

/** Seconds after which to come back to a node whose store is out of reach. */
const unavailableRetryS = 1

/** What a client is told of a thrown error: a refusal in the protocol's words, or nothing of a fault of ours. */
export function toProtocolError(error: unknown): ProtocolError {
  if (error instanceof ProtocolError) return error
  if (error instanceof StoreUnavailableError) {
    return new ProtocolError('unavailable', 'the store is out of reach; the outcome is unknown', {
      retryAfter: unavailableRetryS,
    })
  }
  return new ProtocolError('internal', 'a fault of ours')
}

/** `waitMs` as whole seconds, so that who waits them is let through. */
export const rateLimited = (message: string, waitMs: number): ProtocolError =>
  new ProtocolError('rate_limited', message, { retryAfter: Math.max(1, Math.ceil(waitMs / 1_000)) })

export const unavailable = (message: string, retryAfter: number = unavailableRetryS): ProtocolError =>
  new ProtocolError('unavailable', message, { retryAfter })
