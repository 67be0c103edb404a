import { coalesce } from '../../util/coalesce.ts'
import { type Deferred, defer } from '../../util/deferred.ts'
import { raceAbort } from '../../util/signal.ts'
import type { ClientContext } from '../connection/client-context.ts'
import { keys } from '../records/keys.ts'
import { ConfirmationRecord, type Confirmed, type ReceiptState } from './confirmation-record.ts'
import { toError } from './send-result.ts'

type Waiter = { id: string; state: ReceiptState; done: Deferred<void> }

/**
 * The callers that wait until a recipient has confirmed a message. The process that listens stores receipts in the
 * state, where every process of the agent sees them.
 */
export class Confirmations {
  readonly #context: Pick<ClientContext, 'store'>
  readonly #waiters = new Set<Waiter>()
  readonly #check = coalesce(() => this.#settleWaiters().catch(error => this.#fail(error)))
  #stopWatching: (() => void) | undefined

  constructor(context: Pick<ClientContext, 'store'>) {
    this.#context = context
  }

  /**
   * Resolves when the recipient has confirmed the message as `state`.
   * @throws the error for which the message was given up; the signal's reason
   */
  async wait(id: string, state: ReceiptState, signal: AbortSignal): Promise<void> {
    const waiter = { id, state, done: defer<void>() }
    this.#waiters.add(waiter)
    this.#stopWatching ??= this.#context.store.onChange(() => void this.#check())
    void this.#check()
    try {
      await raceAbort(waiter.done.promise, signal)
    } finally {
      this.#waiters.delete(waiter)
      if (this.#waiters.size === 0) this.#unwatch()
    }
  }

  #unwatch(): void {
    this.#stopWatching?.()
    this.#stopWatching = undefined
  }

  async #settleWaiters(): Promise<void> {
    const waiters = [...this.#waiters]
    const records = await this.#context.store.read(tx =>
      Promise.all(
        waiters.map(async ({ id }) => {
          const bytes = await tx.get(keys.confirmed(id))
          return bytes && ConfirmationRecord.decode(bytes)
        }),
      ),
    )
    for (const [at, { state, done }] of waiters.entries()) {
      const record = records[at]
      if (record) settle(done, state, record.confirmed)
    }
  }

  #fail(error: unknown): void {
    for (const { done } of this.#waiters) done.reject(error)
  }
}

function settle(done: Deferred<void>, wanted: ReceiptState, confirmed: Confirmed): void {
  if ('code' in confirmed) done.reject(toError(confirmed))
  else if (confirmed.state === 'read' || wanted === 'delivered') done.resolve()
}
