import type { Username } from '../../protocol/names.ts'
import type { ClientContext } from '../connection/client-context.ts'
import { markContact } from '../records/contacts.ts'
import { keys, nameIn } from '../records/keys.ts'
import { type Draft, enqueue } from './outbox-queue.ts'
import { OutboxRecord } from './outbox-record.ts'
import { type FlushContext, PeerFlush, type SessionStarter, type StepReservation } from './peer-flush.ts'
import type { Accepted } from './send-result.ts'
import { SendWaiters } from './send-waiters.ts'
import { StuckFrames } from './stuck-frames.ts'

/**
 * Sends the messages in the state's outbox until a node has accepted them: the same bytes, in the order of commits,
 * over as many connections and processes as it takes. Each peer has its own flush, so a full inbox delays no other
 * peer.
 */
export class Outbox {
  readonly #context: ClientContext
  readonly #flushContext: FlushContext
  readonly #flushes = new Map<Username, PeerFlush>()
  readonly #running = new Set<Promise<void>>()
  readonly #waiters = new SendWaiters()

  constructor(context: ClientContext, sessions: SessionStarter, steps: StepReservation) {
    this.#context = context
    this.#flushContext = {
      context,
      sessions,
      steps,
      stuckFrames: new StuckFrames(),
      waiters: this.#waiters,
      running: this.#running,
    }
  }

  /**
   * Commits a message of the application to the state. Its recipient is a contact from now on. `accepted` resolves when
   * a node has stored the message, and rejects when no node ever will.
   * @throws {IdentityChangedError}
   */
  async send(to: Username, draft: Draft): Promise<{ accepted: Promise<Accepted> }> {
    const accepted = this.#waiters.add(draft.id, to)
    try {
      await this.#context.store.transaction(async tx => {
        await enqueue(tx, this.#context, to, draft)
        await markContact(tx, to)
      })
    } catch (error) {
      this.#waiters.remove(draft.id)
      throw error
    }
    this.flush(to)
    return { accepted }
  }

  /** Sends the messages that this or another process left in the outbox. */
  async resume(): Promise<void> {
    let after = keys.outboxes()
    for (;;) {
      const [entry] = await this.#context.store.read(tx => tx.list(keys.outboxes(), { after, limit: 1 }))
      if (!entry) return
      const peer = nameIn(entry[0])
      this.flush(peer)
      after = `${keys.outboxOf(peer)}~`
    }
  }

  /**
   * Moves every message without a receipt back into the outbox, with the same bytes and ids: the nodes may have lost
   * the messages that they accepted.
   */
  async resendUnconfirmed(): Promise<void> {
    for (const flush of this.#flushes.values()) flush.rewind()
    await this.#context.store.transaction(async tx => {
      for (const [key, bytes] of await tx.list(keys.sents())) {
        tx.delete(key)
        tx.put(keys.outbox(nameIn(key), OutboxRecord.decode(bytes).order), bytes)
      }
    })
  }

  /** Reports messages that `dropUnconfirmed` has removed. */
  dropped(to: Username, ids: readonly string[], error: Error): void {
    for (const id of ids) {
      this.#waiters.reject(id, error)
      this.#context.events.emit('refused', { id, to, error })
    }
  }

  /** Sends the outbox of one peer. A call during a flush of that peer leads to at most one more flush. */
  flush(peer: Username): void {
    if (this.#context.closing.aborted) return
    const flush = this.#flushes.get(peer) ?? new PeerFlush(this.#flushContext, peer)
    this.#flushes.set(peer, flush)
    flush.request()
  }

  /** Resolves when no flush is running. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.allSettled(this.#running)
  }

  /** Waits for the running flushes to end. Messages that they did not send stay in the state. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#running)
    this.#waiters.close()
  }
}
