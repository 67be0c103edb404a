import { limits } from '../../protocol/limits.ts'
import type { Username } from '../../protocol/names.ts'
import { asError } from '../../util/as-error.ts'
import { coalesce } from '../../util/coalesce.ts'
import { ServerFaultError } from '../base/errors.ts'
import type { ClientContext } from '../connection/client-context.ts'
import type { Link } from '../connection/link.ts'
import type { Effect } from './effects.ts'
import type { Push } from './envelope.ts'
import type { Inbox } from './inbox.ts'
import { processEnvelope, retryUndecryptable } from './process-envelope.ts'
import { retriable } from './undecryptable.ts'

/** The number of envelopes in one transaction, so that a backlog does not cost a disk write each. */
const batchSize = 64

/** The envelopes kept in memory. A node pushes at most `maxUnacked`; the rest is for acks that are on their way. */
const maxWaiting = 2 * limits.maxUnacked

type IncomingContext = {
  context: ClientContext
  inbox: Pick<Inbox, 'arrived' | 'hasRoom'>
  /** Called for each effect, in order, after the transaction has committed. */
  apply: (effect: Effect) => void
}

/**
 * Processes pushed envelopes, one connection at a time: checks their order, decrypts and saves them, then acknowledges.
 */
export class IncomingQueue {
  readonly #parts: IncomingContext
  #current: ConnectionIntake | undefined
  /** A connection skipped an envelope, and the next connection has not caught up yet. */
  #hasGap = false

  constructor(parts: IncomingContext) {
    this.#parts = parts
  }

  open(link: Link): ConnectionIntake {
    this.#current = new ConnectionIntake(this.#parts, link, {
      gap: () => {
        this.#hasGap = true
      },
      caughtUp: () => {
        if (this.#hasGap) this.#parts.context.events.emit('gap-healed', {})
        this.#hasGap = false
      },
    })
    return this.#current
  }

  /** Retries the quarantined bodies of a peer. Returns true if some of them still wait for another retry. */
  async retry(peer: Username): Promise<boolean> {
    const { context } = this.#parts
    const done = await context.store.transaction(async tx => ({
      effects: await retryUndecryptable(tx, context, peer),
      waiting: await retriable(tx, context, peer),
    }))
    for (const effect of done.effects) this.#parts.apply(effect)
    return done.waiting.length > 0
  }

  /** Returns true if every envelope that waited when the connection began to listen has been processed. */
  get isCaughtUp(): boolean {
    return this.#current?.isCaughtUp ?? false
  }
}

type ProgressHandler = { gap(): void; caughtUp(): void }

/** Processes the envelopes of one connection. */
class ConnectionIntake {
  readonly #parts: IncomingContext
  readonly #link: Link
  readonly #progress: ProgressHandler
  readonly #closing = new AbortController()
  #waiting: Push[] = []
  #pushed = 0
  #expected = Number.POSITIVE_INFINITY
  #processed = 0
  readonly #process = coalesce(() => this.#processWaiting())
  #running: Promise<void> | undefined

  constructor(parts: IncomingContext, link: Link, progress: ProgressHandler) {
    this.#parts = parts
    this.#link = link
    this.#progress = progress
  }

  get isCaughtUp(): boolean {
    return !this.#isClosed && this.#processed >= this.#expected
  }

  /** @param queued the number of envelopes that waited at the node when listening began */
  expect(queued: number): void {
    this.#expected = queued
    this.#notify()
  }

  push(frame: Push): void {
    if (this.#isClosed) return
    if (frame.prev !== this.#pushed || frame.seq <= this.#pushed) return this.#gap(frame)
    if (this.#waiting.length >= maxWaiting) return this.#flooded()
    this.#pushed = frame.seq
    this.#waiting.push(frame)
    this.#running = this.#process()
  }

  /** Accepts no more envelopes, and waits for the current batch. */
  async close(): Promise<void> {
    this.#shut()
    await this.#running
  }

  get #isClosed(): boolean {
    return this.#closing.signal.aborted
  }

  #notify(): void {
    this.#parts.inbox.arrived.notify()
    if (this.isCaughtUp) this.#progress.caughtUp()
  }

  #shut(): void {
    this.#waiting = []
    this.#closing.abort()
  }

  /** The node skipped or repeated an envelope: a new connection starts again at the oldest one. */
  #gap({ prev }: Push): void {
    this.#progress.gap()
    this.#parts.context.events.emit('gap', { expected: this.#pushed, prev })
    this.#shut()
    this.#link.terminate()
  }

  #flooded(): void {
    const error = new ServerFaultError(`the server pushed more than ${maxWaiting} messages without an acknowledgement`)
    this.#parts.context.events.emit('failed', { error })
    this.#shut()
    this.#link.terminate()
  }

  async #processWaiting(): Promise<void> {
    const { inbox, context } = this.#parts
    while (this.#waiting.length > 0) {
      try {
        await inbox.hasRoom(this.#closing.signal)
        const batch = this.#waiting.splice(0, batchSize)
        await this.#saveBatch(batch)
        this.#link.ack(batch.at(-1)?.seq ?? 0)
        this.#processed += batch.length
        this.#notify()
      } catch (error) {
        if (this.#isClosed) return
        // Not on disk, so not acknowledged: the next connection gets the batch again.
        this.#shut()
        context.events.emit('failed', { error: asError(error) })
        this.#link.close()
      }
    }
  }

  async #saveBatch(batch: Push[]): Promise<void> {
    const { context } = this.#parts
    const effects = await context.store.transaction(async tx => {
      const all: Effect[] = []
      for (const frame of batch) all.push(...(await processEnvelope(tx, context, frame)))
      return all
    })
    for (const effect of effects) this.#parts.apply(effect)
  }
}
