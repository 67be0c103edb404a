import type { Username } from '../../protocol/names.ts'
import { type Deferred, defer } from '../../util/deferred.ts'
import { ClosedError } from '../base/errors.ts'
import { keys } from '../records/keys.ts'
import type { StateStore } from '../state/state-store.ts'
import { type Accepted, type SendResult, SendResultRecord, toError } from './send-result.ts'

/** The callers in this process that wait until a node has accepted their message. */
export class SendWaiters {
  readonly #waiters = new Map<string, Deferred<Accepted> & { to: Username }>()

  add(id: string, to: Username): Promise<Accepted> {
    const waiter = defer<Accepted>()
    // The caller may ignore the promise: an unhandled rejection would end a Node process.
    waiter.promise.catch(() => {})
    this.#waiters.set(id, { ...waiter, to })
    return waiter.promise
  }

  has(id: string): boolean {
    return this.#waiters.has(id)
  }

  remove(id: string): void {
    this.#waiters.delete(id)
  }

  settle(id: string, result: SendResult): void {
    if (!('seq' in result)) return this.reject(id, toError(result))
    this.#waiters.get(id)?.resolve({ id, seq: result.seq, queued: result.queued })
    this.#waiters.delete(id)
  }

  reject(id: string, error: unknown): void {
    this.#waiters.get(id)?.reject(error)
    this.#waiters.delete(id)
  }

  rejectAll(peer: Username, error: unknown): void {
    for (const id of this.#idsFor(peer)) this.reject(id, error)
  }

  /** Settles the waiters for one peer with the results that other processes stored. */
  async collect(store: StateStore, peer: Username): Promise<void> {
    const ids = this.#idsFor(peer)
    if (ids.length === 0) return
    const results = await store.transaction(async tx => {
      const found: [id: string, SendResult][] = []
      for (const id of ids) {
        const bytes = await tx.get(keys.sendResult(id))
        if (!bytes) continue
        tx.delete(keys.sendResult(id))
        found.push([id, SendResultRecord.decode(bytes).outcome])
      }
      return found
    })
    for (const [id, result] of results) this.settle(id, result)
  }

  close(): void {
    for (const id of [...this.#waiters.keys()]) this.reject(id, new ClosedError())
  }

  #idsFor(peer: Username): string[] {
    return [...this.#waiters].filter(([, { to }]) => to === peer).map(([id]) => id)
  }
}
