import type { Username } from '../../protocol/names.ts'
import { asError } from '../../util/as-error.ts'
import type { ClientContext } from '../connection/client-context.ts'
import type { Link } from '../connection/link.ts'
import type { Outbox } from '../outbox/outbox.ts'
import type { Requests } from '../requests/requests.ts'
import type { Sessions } from '../sessions/sessions.ts'
import type { Consequence } from './effects.ts'
import type { Push } from './envelope.ts'
import type { Inbox } from './inbox.ts'
import { takeIn, takeInAgain } from './process-envelope.ts'
import type { Receipts } from './receipts.ts'
import { retriable } from './undecryptable.ts'

/** Envelopes of one commit: a backlog costs one write for many. */
const batchSize = 64

/** What comes of envelopes once they are on disk. */
type Parts = {
  context: ClientContext
  inbox: Inbox
  receipts: Receipts
  sessions: Sessions
  outbox: Outbox
  requests: Pick<Requests, 'answered' | 'withdrawn'>
  /** Looks at what has to be made good. */
  repair: () => void
  /** Publishes new prekeys. */
  rotate: () => void
}

/** Takes envelopes in, one connection at a time: checks their order, decrypts and saves them, then acknowledges. */
export class Intake {
  readonly #parts: Parts
  #current: Taking | undefined
  /** A connection left something out, and the next one has not caught up yet. */
  #hasGap = false

  constructor(parts: Parts) {
    this.#parts = parts
  }

  open(link: Link): Taking {
    this.#current = new Taking(this.#parts, link, {
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

  /** Tries again what was set aside of a peer. Answers whether something still waits for another try. */
  async takeAgain(peer: Username): Promise<boolean> {
    const { context } = this.#parts
    const done = await context.store.transaction(async tx => ({
      consequences: await takeInAgain(tx, context, peer),
      waiting: await retriable(tx, peer),
    }))
    for (const consequence of done.consequences) follow(this.#parts, consequence)
    return done.waiting.length > 0
  }

  /** Whether everything that waited when the connection began to listen is here. */
  get isCaughtUp(): boolean {
    return this.#current?.isCaughtUp ?? false
  }
}

type Progress = { gap(): void; caughtUp(): void }

/** The envelopes of one connection. */
export class Taking {
  readonly #parts: Parts
  readonly #link: Link
  readonly #progress: Progress
  readonly #closing = new AbortController()
  #waiting: Push[] = []
  #pushed = 0
  #expected = Number.POSITIVE_INFINITY
  #taken = 0
  #running: Promise<void> | undefined

  constructor(parts: Parts, link: Link, progress: Progress) {
    this.#parts = parts
    this.#link = link
    this.#progress = progress
  }

  get isCaughtUp(): boolean {
    return !this.#isClosed && this.#taken >= this.#expected
  }

  /** How many envelopes waited when listening began. */
  expect(queued: number): void {
    this.#expected = queued
    this.#lookUp()
  }

  push(frame: Push): void {
    if (this.#isClosed) return
    if (frame.prev !== this.#pushed || frame.seq <= this.#pushed) return this.#gap(frame)
    this.#pushed = frame.seq
    this.#waiting.push(frame)
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
    })
  }

  /** Nothing more is taken in; what is under way is finished. */
  async close(): Promise<void> {
    this.#shut()
    await this.#running
  }

  get #isClosed(): boolean {
    return this.#closing.signal.aborted
  }

  #lookUp(): void {
    this.#parts.inbox.arrived.notify()
    if (this.isCaughtUp) this.#progress.caughtUp()
  }

  #shut(): void {
    this.#waiting = []
    this.#closing.abort()
  }

  /** Something was left out or repeated: the node is asked again from the oldest envelope on. */
  #gap({ prev }: Push): void {
    this.#progress.gap()
    this.#parts.context.events.emit('gap', { expected: this.#pushed, prev })
    this.#shut()
    this.#link.terminate()
  }

  async #run(): Promise<void> {
    const { inbox, context } = this.#parts
    while (this.#waiting.length > 0) {
      try {
        await inbox.hasRoom(this.#closing.signal)
        const batch = this.#waiting.splice(0, batchSize)
        await this.#takeBatch(batch)
        this.#link.ack(batch.at(-1)?.seq ?? 0)
        this.#taken += batch.length
        this.#lookUp()
      } catch (error) {
        if (this.#isClosed) return
        // Not on disk, so not acknowledged: it comes again with the next connection.
        this.#shut()
        context.events.emit('failed', { error: asError(error) })
        this.#link.close()
      }
    }
  }

  async #takeBatch(batch: Push[]): Promise<void> {
    const { context } = this.#parts
    const consequences = await context.store.transaction(async tx => {
      const all: Consequence[] = []
      for (const frame of batch) all.push(...(await takeIn(tx, context, frame)))
      return all
    })
    for (const consequence of consequences) follow(this.#parts, consequence)
  }
}

function follow(parts: Parts, consequence: Consequence): void {
  const { context, inbox, receipts, requests, sessions, outbox, repair, rotate } = parts
  switch (consequence.kind) {
    case 'arrived':
      if (consequence.isNew) inbox.stored()
      return receipts.schedule(consequence.from)
    case 'answered':
      return requests.answered()
    case 'withdrawn':
      if (consequence.removed !== undefined) inbox.removed(consequence.removed)
      return requests.withdrawn(consequence.from, consequence.id)
    case 'event':
      return consequence.emit(context.events)
    case 'pump':
      return outbox.pump(consequence.to)
    case 'offer-answered':
      return sessions.answered(consequence.offerId)
    case 'offer-declined':
      return sessions.declined(consequence.offerId, consequence.from)
    case 'repair':
      return repair()
    case 'rotate':
      return rotate()
  }
}
