import type { ServerFrameOf } from '../protocol/frames.ts'
import type { Username } from '../protocol/names.ts'
import type { Agent } from './agent.ts'
import type { Inbox } from './inbox.ts'
import type { Link } from './link.ts'
import type { Outbox } from './outbox.ts'
import type { Receipts } from './receipts.ts'
import type { Sessions } from './sessions.ts'
import { type Consequence, takeIn } from './take-in.ts'

export type Push = ServerFrameOf<'message'> | ServerFrameOf<'key_exchange'>

/** Envelopes of one commit: a backlog costs one write for many. */
const batchSize = 64

/** What comes of envelopes once they are on disk. */
type Parts = { agent: Agent; inbox: Inbox; receipts: Receipts; sessions: Sessions; outbox: Outbox }

/** Takes envelopes in, one connection at a time: checks their order, decrypts and saves them, then acknowledges. */
export class Intake {
  readonly #parts: Parts
  #current: Taking | undefined

  constructor(parts: Parts) {
    this.#parts = parts
  }

  open(link: Link): Taking {
    this.#current = new Taking(this.#parts, link)
    return this.#current
  }

  /** Whether everything that waited when the connection began to listen is here. */
  get isCaughtUp(): boolean {
    return this.#current?.isCaughtUp ?? false
  }
}

/** The envelopes of one connection. */
export class Taking {
  readonly #parts: Parts
  readonly #link: Link
  readonly #closing = new AbortController()
  #waiting: Push[] = []
  #pushed = 0
  #expected = Number.POSITIVE_INFINITY
  #taken = 0
  #running: Promise<void> | undefined

  constructor(parts: Parts, link: Link) {
    this.#parts = parts
    this.#link = link
  }

  get isCaughtUp(): boolean {
    return !this.#isClosed && this.#taken >= this.#expected
  }

  /** How many envelopes waited when listening began. */
  expect(queued: number): void {
    this.#expected = queued
    this.#parts.inbox.arrived.notify()
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

  #shut(): void {
    this.#waiting = []
    this.#closing.abort()
  }

  /** Something was left out or repeated: the node is asked again from the oldest envelope on. */
  #gap({ prev }: Push): void {
    this.#parts.agent.events.emit('gap', { expected: this.#pushed, prev })
    this.#shut()
    this.#link.terminate()
  }

  async #run(): Promise<void> {
    const { inbox, agent } = this.#parts
    while (this.#waiting.length > 0) {
      try {
        await inbox.hasRoom(this.#closing.signal)
        const batch = this.#waiting.splice(0, batchSize)
        await this.#takeBatch(batch)
        this.#link.ack(batch.at(-1)?.seq ?? 0)
        this.#taken += batch.length
        inbox.arrived.notify()
      } catch (error) {
        if (this.#isClosed) return
        // Not on disk, so not acknowledged: it comes again with the next connection.
        this.#shut()
        agent.events.emit('failed', { error: asError(error) })
        this.#link.close()
      }
    }
  }

  async #takeBatch(batch: Push[]): Promise<void> {
    const { agent } = this.#parts
    const consequences = await agent.store.transaction(async tx => {
      const all: Consequence[] = []
      for (const frame of batch) all.push(...(await takeIn(tx, agent, frame)))
      return all
    })
    for (const consequence of consequences) this.#follow(consequence)
  }

  #follow(consequence: Consequence): void {
    const { agent, inbox, receipts, sessions, outbox } = this.#parts
    switch (consequence.kind) {
      case 'arrived':
        if (consequence.isNew) inbox.stored()
        return receipts.schedule(consequence.from)
      case 'event':
        return consequence.emit(agent.events)
      case 'pump':
        return outbox.pump(consequence.to)
      case 'offer-answered':
        return sessions.answered(consequence.offerId)
      case 'offer-declined':
        return sessions.declined(consequence.offerId, consequence.from)
      case 'repair':
        return void this.#repair(consequence.peer)
    }
  }

  /** docs/E2E.md section 7, rule 6. */
  async #repair(peer: Username): Promise<void> {
    const { sessions, outbox, agent } = this.#parts
    try {
      if (await sessions.reset(peer, 'undecryptable')) outbox.pump(peer)
    } catch (error) {
      agent.events.emit('failed', { error: asError(error) })
    }
  }
}

const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)))
