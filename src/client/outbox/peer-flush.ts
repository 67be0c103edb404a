import { ProtocolError } from '../../protocol/errors.ts'
import type { ServerFrameOf } from '../../protocol/frames.ts'
import type { Username } from '../../protocol/names.ts'
import { asError } from '../../util/as-error.ts'
import { coalesce } from '../../util/coalesce.ts'
import { Signal, sleep } from '../../util/signal.ts'
import { ServerFaultError, UnreachableError } from '../base/errors.ts'
import { retryAfterMs } from '../base/retry-after.ts'
import type { ClientContext } from '../connection/client-context.ts'
import type { Link } from '../connection/link.ts'
import { mayReturn } from '../connection/reclaim-name.ts'
import { keys } from '../records/keys.ts'
import type { StateTransaction } from '../state/state-store.ts'
import { noteGivenUp } from './confirmation-record.ts'
import { releaseOutbox } from './outbox-lease.ts'
import { encryptWindow } from './outbox-queue.ts'
import { isSealed, OutboxRecord, type SealedRecord, withOffer } from './outbox-record.ts'
import { type SendResult, SendResultRecord, toError, toRefusal } from './send-result.ts'
import type { SendWaiters } from './send-waiters.ts'
import type { StuckFrames } from './stuck-frames.ts'

/** What a flush needs from `Sessions`, which itself puts resets into the outbox. */
export type SessionStarter = {
  /** Resolves when there is a session to encrypt with. */
  ensure(peer: Username): Promise<void>
  /** Resolves to true if a renewal was put into the outbox. */
  renew(peer: Username): Promise<boolean>
}

/** What a flush needs from `RollbackGuard`. */
export type StepReservation = {
  reserve(link: Link): Promise<void>
  refresh(link: Link): void
}

export type FlushContext = {
  context: ClientContext
  sessions: SessionStarter
  steps: StepReservation
  stuckFrames: StuckFrames
  waiters: SendWaiters
  /** The flushes that are running, of all peers. */
  running: Set<Promise<void>>
}

/** Frames in flight to one peer: enough to fill a connection, few enough to send again. */
const windowSize = 64
/** The first and the longest delay between attempts, ms, unless the node names one. */
const firstRetryMs = 500
const maxRetryMs = 60_000

type Answer = { key: string; record: SealedRecord; result: PromiseSettledResult<ServerFrameOf<'accepted'>> }
type Settled = { key: string; record: OutboxRecord; result: SendResult }

/** Sends the outbox of one peer, window by window, until it is empty. */
export class PeerFlush {
  readonly #flushContext: FlushContext
  readonly #context: ClientContext
  readonly #peer: Username
  readonly #requested = new Signal()
  /** Never rejects. Without a link the callers get the error, and the records stay in the state. */
  readonly #run = coalesce(startOver =>
    this.#flush(startOver).catch(error => this.#flushContext.waiters.rejectAll(this.#peer, error)),
  )
  /** How often older messages were put in front of the window that was read. */
  #rewinds = 0

  constructor(flushContext: FlushContext, peer: Username) {
    this.#flushContext = flushContext
    this.#context = flushContext.context
    this.#peer = peer
  }

  /** Starts a flush. During a flush it makes that flush read the outbox again, or one more flush follow. */
  request(): void {
    const { running } = this.#flushContext
    this.#requested.notify()
    const run = this.#run()
    running.add(run)
    void run.finally(() => running.delete(run))
  }

  /** Older messages are put back into the outbox: a window that was read and not sent is read again. */
  rewind(): void {
    this.#rewinds += 1
  }

  async #flush(startOver: () => void): Promise<void> {
    const { store, closing } = this.#context
    const { waiters } = this.#flushContext
    if (closing.aborted) return
    try {
      let failures = 0
      while (!closing.aborted) {
        startOver()
        const { version } = this.#requested
        const rewinds = this.#rewinds
        const window = await store.transaction(tx => encryptWindow(tx, this.#context, this.#peer, windowSize))
        if (window.kind === 'busy') {
          await this.#waitForRelease(window.until)
          await waiters.collect(store, this.#peer)
          continue
        }
        for (const { record, error } of window.expired) this.#refused(record, error)
        if (window.isRenewalDue) void this.#renew()
        let retryable: Error | undefined
        if (window.sealed.length > 0) {
          const link = await this.#context.link()
          if (rewinds !== this.#rewinds || this.#reconnectIfStuck(link, window.sealed)) continue
          retryable = await this.#transmit(link, window.sealed)
        } else if (window.blocked?.by === 'reservation') retryable = await this.#reserve(window.blocked.id)
        else if (window.blocked) retryable = await this.#startSession(window.blocked.id, version)
        else if (window.expired.length === 0) break
        failures = retryable ? failures + 1 : 0
        if (retryable) await this.#pause(retryable, failures)
      }
      await waiters.collect(store, this.#peer)
    } finally {
      if (closing.aborted) await store.transaction(tx => releaseOutbox(tx, this.#context, this.#peer))
    }
  }

  /** Waits until the other process's lease has expired or the state has changed. */
  async #waitForRelease(until: number): Promise<void> {
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
   * Gets the session that encryption waits for, started by this side or by the peer. After a refusal the records
   * without ciphertext are given up, because no weaker encryption may replace the session.
   */
  async #startSession(id: string, version: number): Promise<Error | undefined> {
    const { sessions } = this.#flushContext
    const { closing } = this.#context
    try {
      // A session that the peer starts ends the wait by a request to flush.
      await Promise.race([sessions.ensure(this.#peer), this.#requested.after(version, closing)])
      return undefined
    } catch (error) {
      closing.throwIfAborted()
      if (await this.#isRetryable(error)) {
        const waiting = await this.#context.store.read(tx => tx.list(keys.outboxOf(this.#peer), { limit: windowSize }))
        const unoffered = waiting.filter(([, bytes]) => OutboxRecord.decode(bytes).offeredAt === undefined)
        if (error instanceof ProtocolError) await this.#noteOffers(unoffered.map(([key]) => key))
        return this.#delayed(id, asError(error))
      }
      await this.#refuseUnsealed(asError(error))
      return undefined
    }
  }

  /** docs/E2E.md section 7, rule 7. Messages in flight stay on the old session. */
  async #renew(): Promise<void> {
    try {
      if (await this.#flushContext.sessions.renew(this.#peer)) this.request()
    } catch (error) {
      if (!this.#context.closing.aborted) this.#context.events.emit('failed', { error: asError(error) })
    }
  }

  /** Encryption waits until the node has recorded the steps of this state. */
  async #reserve(id: string): Promise<Error | undefined> {
    try {
      await this.#flushContext.steps.reserve(await this.#context.link())
      return undefined
    } catch (error) {
      this.#context.closing.throwIfAborted()
      // A node that does not record the steps may do it later, or another node may.
      if (mayPass(error) || error instanceof ServerFaultError) return this.#delayed(id, error)
      throw error
    }
  }

  async #refuseUnsealed(error: Error): Promise<void> {
    const unsealed = await this.#context.store.read(async tx =>
      (await tx.list(keys.outboxOf(this.#peer)))
        .map(([key, bytes]) => ({ key, record: OutboxRecord.decode(bytes), result: toRefusal(error) }))
        .filter(({ record }) => !isSealed(record)),
    )
    for (const { record } of await this.#commit(unsealed)) this.#refused(record, error)
  }

  /** Ends the connection if the node waits on it for a frame that will not be sent again. */
  #reconnectIfStuck(link: Link, window: [string, SealedRecord][]): boolean {
    const { stuckFrames } = this.#flushContext
    const isInWindow = (frameId: string) => window.some(([, { sealed }]) => sealed.frameId === frameId)
    if (!stuckFrames.isStuck(link, this.#peer, isInWindow)) return false
    stuckFrames.note(link, this.#peer, undefined)
    link.terminate()
    return true
  }

  /**
   * Sends a window, commits the node's answers, then informs the callers. Returns the first error after which a later
   * attempt may succeed.
   */
  async #transmit(link: Link, window: [string, SealedRecord][]): Promise<Error | undefined> {
    this.#flushContext.steps.refresh(link)
    const answers = await Promise.all(window.map(([key, record]) => this.#transmitOne(link, key, record)))
    const refused = answers.find(({ result }) => result.status === 'rejected' && mayPass(result.reason))
    this.#flushContext.stuckFrames.note(link, this.#peer, refused?.record.sealed.frameId)
    const settled: Settled[] = []
    const offered: string[] = []
    let retryable: Error | undefined
    for (const { key, record, result } of answers) {
      if (result.status === 'fulfilled') settled.push({ key, record, result: result.value })
      else if (await this.#isRetryable(result.reason)) {
        retryable ??= this.#delayed(record.id, asError(result.reason))
        if (record.offeredAt === undefined) offered.push(key)
      } else settled.push({ key, record, result: toRefusal(asError(result.reason)) })
    }
    const valid = await this.#commit(settled)
    if (offered.length > 0) await this.#noteOffers(offered)
    for (const { record, result } of valid) this.#settled(record, result)
    return retryable
  }

  /** The lifetime of the messages begins: a node was asked to store them. */
  #noteOffers(offered: readonly string[]): Promise<void> {
    const { store, now } = this.#context
    return store.transaction(async tx => {
      for (const key of offered) {
        const bytes = await tx.get(key)
        if (bytes) tx.put(key, OutboxRecord.encode(withOffer(OutboxRecord.decode(bytes), now())))
      }
    })
  }

  /** Returns true also if the server has lost a known peer, which registers again by itself. */
  async #isRetryable(error: unknown): Promise<boolean> {
    if (mayPass(error)) return true
    return (
      error instanceof ProtocolError && error.code === 'unknown_user' && (await mayReturn(this.#context, this.#peer))
    )
  }

  async #transmitOne(link: Link, key: string, record: SealedRecord): Promise<Answer> {
    const { sealed, ttlS } = record
    const type = record.frame ?? 'send'
    const ttl = ttlS !== undefined && { ttl: ttlS }
    const frame = { type, id: sealed.frameId, to: this.#peer, body: sealed.body, ...ttl } as const
    const [result] = await Promise.allSettled([link.request(frame)])
    return { key, record, result }
  }

  /**
   * Saves the results and returns those that count. A record that was encrypted again meanwhile, after a reset by the
   * peer, has a new frame: the result of its old frame is ignored.
   */
  async #commit(settled: Settled[]): Promise<Settled[]> {
    return this.#context.store.transaction(async tx => {
      const valid: Settled[] = []
      for (const one of settled) {
        const bytes = await tx.get(one.key)
        if (bytes && !isSame(OutboxRecord.decode(bytes), one.record)) continue
        valid.push(one)
        if (bytes) this.#save(tx, one)
      }
      return valid
    })
  }

  #save(tx: StateTransaction, { key, record, result }: Settled): void {
    tx.delete(key)
    if (record.kind !== 'application') return
    const { id } = record
    const to = this.#peer
    const nowMs = this.#context.now()
    if ('seq' in result) tx.put(keys.sent(to, id), OutboxRecord.encode(withOffer(record, nowMs)))
    else noteGivenUp(tx, { id, to, error: toError(result), nowMs })
    if (this.#flushContext.waiters.has(id)) return
    tx.put(keys.sendResult(id), SendResultRecord.encode({ at: nowMs, outcome: pick(result) }))
  }

  #settled(record: OutboxRecord, result: SendResult): void {
    if ('seq' in result) this.#flushContext.waiters.settle(record.id, result)
    else this.#refused(record, toError(result))
  }

  #refused({ id }: OutboxRecord, error: Error): void {
    this.#flushContext.waiters.reject(id, error)
    this.#context.events.emit('refused', { id, to: this.#peer, error })
  }

  #delayed(id: string, error: Error): Error {
    if (!(error instanceof UnreachableError)) this.#context.events.emit('delayed', { id, to: this.#peer, error })
    return error
  }

  async #pause(error: Error, failures: number): Promise<void> {
    // After a broken link the next `link()` waits for a new one.
    if (error instanceof UnreachableError) return
    const ownMs = Math.min(maxRetryMs, firstRetryMs * 2 ** Math.min(failures, 10))
    await sleep(retryAfterMs(error) ?? ownMs, this.#context.closing)
  }
}

const isSame = (one: OutboxRecord, other: OutboxRecord): boolean =>
  one.id === other.id && one.sealed?.frameId === other.sealed?.frameId

const pick = (result: SendResult): SendResult =>
  'seq' in result ? { seq: result.seq, queued: result.queued } : toRefusal(toError(result))

/** Returns true if a later attempt with the same bytes may succeed. After `unauthorized` the client logs in again. */
const mayPass = (error: unknown): error is Error =>
  error instanceof UnreachableError ||
  (error instanceof ProtocolError && (error.retry || error.code === 'unauthorized'))
