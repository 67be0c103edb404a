import { cryptoLimits } from '../../crypto/limits.ts'
import { ProtocolError } from '../../protocol/errors.ts'
import type { Username } from '../../protocol/names.ts'
import { asError } from '../../util/as-error.ts'
import { coalesce } from '../../util/coalesce.ts'
import { UnreadablePeerError } from '../base/errors.ts'
import type { ClientContext } from '../connection/client-context.ts'
import { mayReturn } from '../connection/reclaim-name.ts'
import type { Outbox } from '../outbox/outbox.ts'
import { keys, nameIn } from '../records/keys.ts'
import type { Sessions } from '../sessions/sessions.ts'
import type { StateReader } from '../state/state-store.ts'
import type { IncomingQueue } from './incoming.ts'

/** The delay before bodies that a limit refused are tried again, ms: the shortest limit has passed by then. */
const retryMs = cryptoLimits.minuteMs
/** The delay before a reset that is not allowed yet is tried again, ms: one reset an hour is allowed. */
const resetRetryMs = cryptoLimits.resetIntervalMs / 4

/**
 * Retries quarantined bodies whose reason may have passed, and sends the pending resets. The state records both, so
 * that they survive the process that found them.
 */
export class UndecryptableRetries {
  readonly #context: ClientContext
  readonly #incoming: IncomingQueue
  readonly #sessions: Sessions
  readonly #outbox: Outbox
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(context: ClientContext, incoming: IncomingQueue, sessions: Sessions, outbox: Outbox) {
    this.#context = context
    this.#incoming = incoming
    this.#sessions = sessions
    this.#outbox = outbox
    context.closing.addEventListener('abort', () => clearTimeout(this.#timer))
  }

  /** Runs due retries and resets, and schedules the next run. Never rejects. */
  readonly run = coalesce(() => this.#try(() => this.#run()))

  async #run(): Promise<void> {
    const { store, closing } = this.#context
    if (closing.aborted) return
    let isWaiting = false
    for (const peer of await store.read(tx => namesUnder(tx, keys.undecryptables()))) {
      await this.#try(async () => {
        isWaiting = (await this.#incoming.retry(peer)) || isWaiting
      })
    }
    const pending = await store.read(tx => namesUnder(tx, keys.pendingResets()))
    for (const peer of pending) {
      await this.#try(async () => {
        if (await this.#sendPendingReset(peer)) this.#outbox.flush(peer)
      })
    }
    clearTimeout(this.#timer)
    if (closing.aborted || (!isWaiting && pending.length === 0)) return
    this.#timer = setTimeout(() => void this.run(), isWaiting ? retryMs : resetRetryMs)
  }

  /** A reset that the node refuses for good is dropped: the peer is gone, or accepts nothing from this agent. */
  async #sendPendingReset(peer: Username): Promise<boolean> {
    try {
      return await this.#sessions.sendPendingReset(peer)
    } catch (error) {
      const isFinal =
        error instanceof ProtocolError && error.retryAdvice === 'no' && !(await mayReturn(this.#context, peer))
      if (isFinal) await this.#context.store.transaction(tx => tx.delete(keys.pendingReset(peer)))
      throw error
    }
  }

  /** A failure for one peer is reported and retried with the next run; it does not stop the other peers. */
  async #try(act: () => Promise<void>): Promise<void> {
    try {
      await act()
    } catch (error) {
      const { closing, events } = this.#context
      // Reported when its record was set aside. Only the user can change it.
      if (error instanceof UnreadablePeerError) return
      if (!closing.aborted) events.emit('failed', { error: asError(error) })
    }
  }
}

/** Returns the distinct names, in order, of keys of the form `KIND/NAME` and `KIND/NAME/…`. */
async function namesUnder(tx: StateReader, prefix: string): Promise<Username[]> {
  const names = (await tx.list(prefix)).map(([key]) => nameIn(key))
  return [...new Set(names)]
}
