import { ProtocolError } from '../../protocol/errors.ts'
import { limits } from '../../protocol/limits.ts'
import { StorageBudgetError } from '../store/storage.ts'
import { StoreUnavailableError } from '../store/store.ts'

/** Seconds after which a client may retry while the store is out of reach. */
const unavailableRetryS = 1

/** Returns the error frame's content for a thrown error. An unexpected error becomes `internal`, without any detail. */
export function toProtocolError(error: unknown): ProtocolError {
  if (error instanceof ProtocolError) return error
  if (error instanceof StoreUnavailableError) {
    const why = error.isFull
      ? 'the store is full: it takes no new mail'
      : 'the store is out of reach; the outcome is unknown'
    return new ProtocolError('unavailable', why, {
      retryAfter: unavailableRetryS,
    })
  }
  if (error instanceof StorageBudgetError) {
    return new ProtocolError('rate_limited', error.message, { retryAfter: limits.storageRetryS })
  }
  return new ProtocolError('internal', 'internal error')
}

/** Rounds `waitMs` up to whole seconds, so that a client that waits this long is not refused again. */
export const rateLimited = (message: string, waitMs: number): ProtocolError =>
  new ProtocolError('rate_limited', message, { retryAfter: Math.max(1, Math.ceil(waitMs / 1_000)) })

export const unavailable = (message: string, retryAfter: number = unavailableRetryS): ProtocolError =>
  new ProtocolError('unavailable', message, { retryAfter })
