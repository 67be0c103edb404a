import { errors, ProtocolError } from '../../protocol/errors.ts'
import type { ServerFrameOf } from '../../protocol/frames.ts'
import type { Username } from '../../protocol/names.ts'
import { asError } from '../../util/as-error.ts'
import { type Deferred, defer } from '../../util/deferred.ts'
import { Signal, sleep } from '../../util/signal.ts'
import { ClosedError, UnreachableError } from '../base/errors.ts'
import type { ClientContext } from '../connection/client-context.ts'
import type { Link } from '../connection/link.ts'
import { mayReturn } from '../connection/reclaim-name.ts'
import { keys, nameIn } from '../records/keys.ts'
import type { Progress } from '../sessions/rollback-guard.ts'
import type { Sessions } from '../sessions/sessions.ts'
import type { StateTransaction } from '../state/state-store.ts'
import { noteGivenUp } from './confirmation-record.ts'
import { releasePump } from './outbox-lease.ts'
import { type Draft, queue, seal } from './outbox-queue.ts'
import { isSealed, OutboxRecord, type SealedRecord } from './outbox-record.ts'
import { type Outcome, OutcomeRecord, toError, toOutcome } from './send-result.ts'
import { HeldFrames } from './stuck-frames.ts'

/** What a node said when it stored a message: its number there, and whether the recipient was not listening. */
export type Accepted = { id: string; seq: number; queued: boolean }

/** Frames on their way to one peer at once: enough to fill a line, few enough to send again. */
const windowSize = 64
/** Between attempts that the node did not ask to delay, ms. */
const firstRetryMs = 500
const maxRetryMs = 60_000

type Answer = { key: string; record: SealedRecord; result: PromiseSettledResult<ServerFrameOf<'accepted'>> }
type Settled = { key: string; record: OutboxRecord; outcome: Outcome }

/**
 * Sends what is in the state's outbox until a node has accepted it: the same bytes, in the order of commits, over
 * however many connections and processes it takes. One pump per peer, so that one full inbox delays nobody else.
 */
export class Outbox {
  readonly #context: ClientContext
  readonly #sessions: Sessions
  readonly #progress: Progress
  readonly #pumps = new Map<Username, Promise<void>>()
  readonly #again = new Set<Username>()
  /** How often older messages were put in front of what was read. */
  #rewound = 0
  /** Somebody asked for another look. */
  readonly #poked = new Signal()
  readonly #held = new HeldFrames()
  readonly #waiters = new Map<string, Deferred<Accepted> & { to: Username }>()

  constructor(context: ClientContext, sessions: Sessions, progress: Progress) {
    this.#context = context
    this.#sessions = sessions
    this.#progress = progress
  }

  /**
   * Commits a message to the state, then answers what resolves when a node has stored it and rejects when none ever will.
   * @throws {IdentityChangedError}
   */
  async send(to: Username, draft: Draft): Promise<{ accepted: Promise<Accepted> }> {
    const waiter = defer<Accepted>()
    waiter.promise.catch(() => {})
    this.#waiters.set(draft.id, { ...waiter, to })
    try {
      await this.#context.store.transaction(tx => queue(tx, this.#context, to, draft))
    } catch (error) {
      this.#waiters.delete(draft.id)
      throw error
    }
    this.pump(to)
    return { accepted: waiter.promise }
  }

  /** Picks up what this or another process left behind. */
  async resume(): Promise<void> {
    let after = keys.outboxes()
    for (;;) {
      const [entry] = await this.#context.store.read(tx => tx.list(keys.outboxes(), { after, limit: 1 }))
      if (!entry) return
      const peer = nameIn(entry[0])
      this.pump(peer)
      after = `${keys.outboxOf(peer)}~`
    }
  }

  /** The nodes may have lost what they accepted: all without a receipt goes out again, the same bytes under the same ids. */
  async sendAgain(): Promise<void> {
    this.#rewound += 1
    await this.#context.store.transaction(async tx => {
      for (const [key, bytes] of await tx.list(keys.sents())) {
        tx.delete(key)
        tx.put(keys.outbox(nameIn(key), OutboxRecord.decode(bytes).order), bytes)
      }
    })
  }

  /** Looks at the outbox of one peer, now or right after the look that is under way. */
  pump(peer: Username): void {
    if (this.#context.closing.aborted) return
    if (this.#pumps.has(peer)) {
      this.#again.add(peer)
      this.#poked.notify()
      return
    }
    const run = this.#run(peer)
      .catch(error => this.#giveUp(peer, error))
      .finally(() => {
        this.#pumps.delete(peer)
        if (this.#again.delete(peer)) this.pump(peer)
      })
    this.#pumps.set(peer, run)
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    while (this.#pumps.size > 0) await Promise.allSettled(this.#pumps.values())
  }

  /** Waits for the pumps to let go; what they had not finished stays in the state. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#pumps.values())
    for (const { reject } of this.#waiters.values()) reject(new ClosedError())
    this.#waiters.clear()
  }

  async #run(peer: Username): Promise<void> {
    const { store, closing } = this.#context
    try {
      let failures = 0
      while (!closing.aborted) {
        this.#again.delete(peer)
        const rewound = this.#rewound
        const window = await store.transaction(tx => seal(tx, this.#context, peer, windowSize))
        if (window.kind === 'busy') {
          await this.#whileBusy(window.until)
          await this.#collect(peer)
          continue
        }
        for (const { record, error } of window.expired) this.#refused(peer, record, error)
        if (window.isWorn) void this.#renew(peer)
        let later: Error | undefined
        if (window.sealed.length > 0) {
          const link = await this.#context.link()
          if (rewound !== this.#rewound || this.#beginsAnew(link, peer, window.sealed)) continue
          later = await this.#transmit(link, peer, window.sealed)
        } else if (window.blocked?.by === 'announcement') later = await this.#announce()
        else if (window.blocked) later = await this.#unblock(peer, window.blocked.id)
        else if (window.expired.length === 0) break
        failures = later ? failures + 1 : 0
        if (later) await this.#pause(later, failures)
      }
      await this.#collect(peer)
    } finally {
      if (closing.aborted) await store.transaction(tx => releasePump(tx, this.#context, peer))
    }
  }

  /** Until the process that has the lease is done or late, or something in the state has changed. */
  async #whileBusy(until: number): Promise<void> {
    const { store, closing, now } = this.#context
    const change = new AbortController()
    const stop = store.onChange(() => change.abort())
    try {
      await sleep(Math.max(1, until - now()), AbortSignal.any([closing, change.signal]))
    } catch {
      closing.throwIfAborted()
    } finally {
      stop()
    }
  }

  /**
   * Gets what encryption wants: a session, started here or by the peer. A refusal ends the records that wait for it, for
   * nothing weaker is sent.
   */
  async #unblock(peer: Username, id: string): Promise<Error | undefined> {
    const { version } = this.#poked
    try {
      await Promise.race([this.#sessions.ensure(peer), this.#until(peer, version)])
      return undefined
    } catch (error) {
      this.#context.closing.throwIfAborted()
      if (isLater(error) || (await this.#isAway(peer, error))) return this.#delayed(peer, id, asError(error))
      await this.#refuseUnsealed(peer, asError(error))
      return undefined
    }
  }

  /** docs/E2E.md section 7, rule 7. What is on its way goes on over the old session. */
  async #renew(peer: Username): Promise<void> {
    try {
      if (await this.#sessions.renew(peer)) this.pump(peer)
    } catch (error) {
      if (!this.#context.closing.aborted) this.#context.events.emit('failed', { error: asError(error) })
    }
  }

  /** Encryption waits until the node knows how far this state is. */
  async #announce(): Promise<Error | undefined> {
    try {
      await this.#progress.announce(await this.#context.link())
      return undefined
    } catch (error) {
      this.#context.closing.throwIfAborted()
      if (isLater(error)) return error
      throw error
    }
  }

  async #until(peer: Username, version: number): Promise<void> {
    let seen = version
    while (!this.#again.has(peer)) {
      await this.#poked.after(seen, this.#context.closing)
      seen = this.#poked.version
    }
  }

  async #refuseUnsealed(peer: Username, error: Error): Promise<void> {
    const entries = await this.#context.store.read(tx => tx.list(keys.outboxOf(peer)))
    const unsealed = entries
      .map(([key, bytes]) => ({ key, record: OutboxRecord.decode(bytes), outcome: toOutcome(error) }))
      .filter(({ record }) => !isSealed(record))
    for (const { record } of await this.#commit(peer, unsealed)) this.#refused(peer, record, error)
  }

  /** Where the node waits for a frame that will not come, its connection ends. */
  #beginsAnew(link: Link, peer: Username, window: [string, SealedRecord][]): boolean {
    const isToCome = (frameId: string) => window.some(([, { sealed }]) => sealed.frameId === frameId)
    if (!this.#held.isStuck(link, peer, isToCome)) return false
    this.#held.note(link, peer, undefined)
    link.terminate()
    return true
  }

  /** Sends a window, commits what the node said, then tells the callers. Answers the first error that a later attempt may mend. */
  async #transmit(link: Link, peer: Username, window: [string, SealedRecord][]): Promise<Error | undefined> {
    this.#progress.refresh(link)
    const answers = await Promise.all(window.map(([key, record]) => this.#transmitOne(link, peer, key, record)))
    const refused = answers.find(({ result }) => result.status === 'rejected' && isLater(result.reason))
    this.#held.note(link, peer, refused?.record.sealed.frameId)
    const settled: Settled[] = []
    let later: Error | undefined
    for (const { key, record, result } of answers) {
      if (result.status === 'fulfilled') settled.push({ key, record, outcome: result.value })
      else if (isLater(result.reason) || (await this.#isAway(peer, result.reason)))
        later ??= this.#delayed(peer, record.id, asError(result.reason))
      else settled.push({ key, record, outcome: toOutcome(asError(result.reason)) })
    }
    for (const { record, outcome } of await this.#commit(peer, settled)) this.#told(peer, record, outcome)
    return later
  }

  /** Whether the server has lost a peer that was met, which comes back by itself. */
  async #isAway(peer: Username, error: unknown): Promise<boolean> {
    return error instanceof ProtocolError && error.code === 'unknown_user' && (await mayReturn(this.#context, peer))
  }

  async #transmitOne(link: Link, to: Username, key: string, record: SealedRecord): Promise<Answer> {
    const { sealed, ttlS } = record
    const type = record.frame ?? 'send'
    const frame = { type, id: sealed.frameId, to, body: sealed.body, ...(ttlS !== undefined && { ttl: ttlS }) } as const
    const [result] = await Promise.allSettled([link.request(frame)])
    return { key, record, result }
  }

  /**
   * Notes what became of records, and answers which of them that concerns: one that was put anew meanwhile, after a reset of the peer's, goes
   * on by itself.
   */
  async #commit(peer: Username, settled: Settled[]): Promise<Settled[]> {
    return this.#context.store.transaction(async tx => {
      const standing: Settled[] = []
      for (const one of settled) {
        const bytes = await tx.get(one.key)
        if (bytes && !isSame(OutboxRecord.decode(bytes), one.record)) continue
        standing.push(one)
        if (bytes) this.#settle(tx, peer, one)
      }
      return standing
    })
  }

  #settle(tx: StateTransaction, to: Username, { key, record, outcome }: Settled): void {
    tx.delete(key)
    if (record.kind !== 'application') return
    const { id } = record
    const nowMs = this.#context.now()
    if ('seq' in outcome) tx.put(keys.sent(to, id), OutboxRecord.encode(record))
    else noteGivenUp(tx, { id, to, error: toError(outcome), nowMs })
    if (!this.#waiters.has(id)) tx.put(keys.outcome(id), OutcomeRecord.encode({ at: nowMs, outcome: pick(outcome) }))
  }

  #told(peer: Username, record: OutboxRecord, outcome: Outcome): void {
    if (!('seq' in outcome)) return this.#refused(peer, record, toError(outcome))
    this.#waiters.get(record.id)?.resolve({ id: record.id, seq: outcome.seq, queued: outcome.queued })
    this.#waiters.delete(record.id)
  }

  #refused(to: Username, { id }: OutboxRecord, error: Error): void {
    this.#waiters.get(id)?.reject(error)
    this.#waiters.delete(id)
    this.#context.events.emit('refused', { id, to, error })
  }

  #delayed(to: Username, id: string, error: Error): Error {
    if (!(error instanceof UnreachableError)) this.#context.events.emit('delayed', { id, to, error })
    return error
  }

  async #pause(error: Error, failures: number): Promise<void> {
    // A broken link is waited for where the next one is asked for.
    if (error instanceof UnreachableError) return
    const asked = error instanceof ProtocolError ? error.retryAfter : undefined
    const own = Math.min(maxRetryMs, firstRetryMs * 2 ** Math.min(failures, 10))
    await sleep(asked === undefined ? own : asked * 1_000, this.#context.closing)
  }

  /** What other processes did for messages that were queued here. */
  async #collect(peer: Username): Promise<void> {
    const ids = [...this.#waiters].filter(([, { to }]) => to === peer).map(([id]) => id)
    if (ids.length === 0) return
    const outcomes = await this.#context.store.transaction(async tx => {
      const found: [id: string, Outcome][] = []
      for (const id of ids) {
        const bytes = await tx.get(keys.outcome(id))
        if (!bytes) continue
        tx.delete(keys.outcome(id))
        found.push([id, OutcomeRecord.decode(bytes).outcome])
      }
      return found
    })
    for (const [id, outcome] of outcomes) {
      const waiter = this.#waiters.get(id)
      this.#waiters.delete(id)
      if ('seq' in outcome) waiter?.resolve({ id, seq: outcome.seq, queued: outcome.queued })
      else waiter?.reject(toError(outcome))
    }
  }

  /** No link will come: callers learn it, the records stay for another time. */
  #giveUp(peer: Username, error: unknown): void {
    for (const [id, waiter] of this.#waiters) {
      if (waiter.to !== peer) continue
      waiter.reject(error)
      this.#waiters.delete(id)
    }
  }
}

const isSame = (one: OutboxRecord, other: OutboxRecord): boolean =>
  one.id === other.id && one.sealed?.frameId === other.sealed?.frameId

const pick = (outcome: Outcome): Outcome =>
  'seq' in outcome ? { seq: outcome.seq, queued: outcome.queued } : { code: outcome.code, message: outcome.message }

/** Whether a later attempt with the same bytes may succeed. A session that ended is logged in again. */
const isLater = (error: unknown): error is Error =>
  error instanceof UnreachableError ||
  (error instanceof ProtocolError && (errors[error.code].retry === 'yes' || error.code === 'unauthorized'))
