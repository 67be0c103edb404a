import { encodeFrame, encodePush } from '../../protocol/codec.ts'
import type { CloseReason } from '../../protocol/errors.ts'
import { ProtocolError } from '../../protocol/errors.ts'
import { limits } from '../../protocol/limits.ts'
import type { Username } from '../../protocol/names.ts'
import type { Timer } from '../../util/timer.ts'
import type { Clock } from '../base/clock.ts'
import type { Logger } from '../base/logger.ts'
import type { Metrics } from '../base/metrics.ts'
import type { ConnectionId } from '../store/ids.ts'
import {
  type Claim,
  type Envelope,
  type KeyCounts,
  type Notice,
  type Store,
  StoreUnavailableError,
} from '../store/store.ts'
import type { ClaimReleases } from './claim-releases.ts'
import type { NoticeRouter, NoticeSubscriber } from './notice-router.ts'
import { PushWindow } from './push-window.ts'
import type { SharedDelay } from './shared-delay.ts'
import type { SharedInterval } from './shared-interval.ts'

/** The connection as its delivery sees it. */
type Receiver = {
  send(text: string): void
  /** Bytes that the socket has not written yet. */
  bufferedBytes(): number
  close(reason: CloseReason, text: string): Promise<void>
}

/** The parts of a node that a delivery uses. */
type DeliveryContext = {
  store: Pick<Store, 'inboxes' | 'keys'>
  notices: Pick<NoticeRouter, 'add' | 'remove'>
  claimReleases: Pick<ClaimReleases, 'release'>
  acks: Pick<SharedDelay, 'join' | 'leave'>
  inboxChecks: Pick<SharedInterval, 'join'>
  clock: Clock
  log: Pick<Logger, 'warn' | 'error'>
  metrics: Pick<Metrics, 'pushed' | 'inboxReads' | 'catchUps'>
}

/** Why the delivery reads the inbox instead of pushing the envelope of a hint. */
type CatchUp = 'gap' | 'bare' | 'resumed' | 'timer'

/** How long the delivery waits for the notice that names the new owner after it lost its claim, ms. */
const replacedGraceMs = 500
/** Delay before a retry after the store was out of reach, ms. */
const retryMs = 1_000
/** The most that one read returns. Keeps scripts short and the memory of each listener small. */
const maxReadBytes = 262_144

/**
 * Pushes one inbox to one connection, in `seq` order, each envelope once (PROTOCOL.md section 7). The stored inbox is
 * authoritative: a hint with the very next envelope is pushed as it is; anything else makes the loop read the inbox.
 * The loop reads `#wakeUps` before the inbox, so that it misses no wake-up.
 */
export class InboxDelivery implements NoticeSubscriber {
  readonly connection: ConnectionId
  readonly #username: Username
  readonly #receiver: Receiver
  readonly #context: DeliveryContext
  readonly #window = new PushWindow()
  #claim: Claim | undefined
  #replacedBy: { epoch: number; instance: string } | undefined
  #pushing = false
  #over = false
  #reading = false
  #blocked = false
  #wakeUps = 0
  #hints: Envelope[] = []
  #storedAck = 0
  readonly #storeAcks = () => void this.#storeAck()
  readonly #timers: { check?: Timer; slow?: Timer; retry?: Timer; lost?: Timer } = {}

  constructor(connection: ConnectionId, username: Username, receiver: Receiver, context: DeliveryContext) {
    this.connection = connection
    this.#username = username
    this.#receiver = receiver
    this.#context = context
  }

  /**
   * Claims the inbox. Subscribes to notices first, so that it does not miss a takeover right after the claim.
   * @throws {ProtocolError} `conflict`; {StoreUnavailableError}
   */
  async claim(instance: string): Promise<{ epoch: number; queued: number }> {
    const { store, notices } = this.#context
    notices.add(this.#username, this)
    try {
      const claimed = await store.inboxes.claim(this.#username, {
        kind: 'socket',
        connection: this.connection,
        instance,
      })
      if (claimed === 'conflict') throw new ProtocolError('conflict', 'the inbox is claimed by another connection')
      this.#claim = claimed.claim
      return { epoch: claimed.claim.epoch, queued: claimed.queued }
    } catch (error) {
      this.#finish()
      throw error
    }
  }

  /** Starts to push. Called after the reply to `listen` was sent. */
  start(): void {
    if (this.#over || !this.#claim) return
    this.#pushing = true
    if (this.#replacedBy) this.#replaced(this.#replacedBy.epoch, this.#replacedBy.instance)
    this.#timers.check = this.#context.inboxChecks.join(() => this.#check())
    this.#wake()
    void this.#askForKeys()
  }

  get epoch(): number {
    return this.#claim?.epoch ?? 0
  }

  notice(notice: Notice): void {
    if (notice.kind === 'appended') this.#hint(notice.epoch, notice.envelope)
    else if (notice.kind === 'replaced') this.#replaced(notice.epoch, notice.instance)
    else if (notice.kind === 'keys-low') this.#keysLow(notice.counts)
    else if (notice.kind === 'resumed') this.#catchUpFor('resumed')
    else if (notice.kind === 'lease-lost') this.#stale()
  }

  /**
   * Acknowledges everything up to `seq`: the client has stored it.
   * @throws {ProtocolError} `bad_ack` above the last pushed `seq`
   */
  ack(seq: number): void {
    if (seq > this.#window.lastPushed) throw new ProtocolError('bad_ack', 'seq is above what was pushed')
    if (!this.#window.ack(seq)) return
    this.#context.acks.join(this.#storeAcks)
    if (this.#blocked && this.#window.isWide) this.#wake()
  }

  /** The socket has written all its data. */
  drained(): void {
    this.#timers.slow?.cancel()
    delete this.#timers.slow
    if (this.#blocked) this.#wake()
  }

  /** Stops pushing, stores the acknowledgements and releases the claim. */
  async stop(): Promise<void> {
    this.#finish()
    const claim = this.#claim
    if (!claim) return
    await this.#storeAck()
    await this.#context.claimReleases.release(claim)
  }

  /** Stops pushing and unsubscribes from notices. */
  #finish(): void {
    this.#pushing = false
    this.#over = true
    this.#hints = []
    this.#context.notices.remove(this.#username, this)
    this.#context.acks.leave(this.#storeAcks)
    for (const timer of Object.values(this.#timers)) timer.cancel()
  }

  #hint(epoch: number, envelope: Envelope | undefined): void {
    if (!this.#pushing || epoch !== this.#claim?.epoch) return
    if (!envelope) return this.#catchUpFor('bare')
    if (envelope.seq <= this.#window.lastPushed) return
    if (this.#reading) this.#keepHint(envelope)
    else if (!this.#blocked && !this.#pushNext(envelope)) this.#missed(envelope)
  }

  /**
   * Reads the inbox for an envelope that was not pushed: either there was no room, or an envelope before it is missing.
   */
  #missed(envelope: Envelope): void {
    if (envelope.prev === this.#window.lastPushed) this.#wake()
    else this.#catchUpFor('gap')
  }

  #catchUpFor(reason: CatchUp): void {
    this.#context.metrics.catchUps.inc({ reason })
    this.#wake()
  }

  /** Keeps a hint during a read. If it follows the last envelope of the read, it needs no other read. */
  #keepHint(envelope: Envelope): void {
    if (this.#hints.length < limits.maxUnacked) this.#hints.push(envelope)
    else this.#wakeUps += 1
  }

  /** Pushes the envelope if it is the very next one. Returns false if the inbox must be read instead. */
  #pushNext(envelope: Envelope): boolean {
    return envelope.prev === this.#window.lastPushed && this.#push(envelope)
  }

  #push(envelope: Envelope): boolean {
    if (!this.#pushing || !this.#mayPush(envelope.body.length)) return false
    const { kind: type, seq, id, from, body, sentAt } = envelope
    this.#receiver.send(encodePush({ type, seq, prev: this.#window.lastPushed, id, from, body, sentAt }))
    this.#window.push(seq, body.length)
    this.#context.metrics.pushed.inc()
    return true
  }

  /** Returns true if the window and the socket have room. Otherwise an `ack` or `drained` wakes the loop later. */
  #mayPush(bytes: number): boolean {
    const buffered = this.#receiver.bufferedBytes()
    if (buffered >= limits.pauseBufferedBytes) this.#watchSlow(buffered)
    this.#blocked = buffered >= limits.pauseBufferedBytes || !this.#window.fits(bytes)
    return !this.#blocked
  }

  /** Closes the connection if its buffer has not shrunk for 30 s. */
  #watchSlow(before: number): void {
    this.#timers.slow ??= this.#context.clock.after(limits.slowConsumerMs, () => {
      delete this.#timers.slow
      const buffered = this.#receiver.bufferedBytes()
      if (buffered >= before) this.#lose('slowConsumer', 'the peer read nothing for 30 s')
      else if (this.#blocked) this.#wake()
    })
  }

  #wake(): void {
    this.#wakeUps += 1
    if (this.#pushing && !this.#reading) void this.#catchUp()
  }

  /**
   * Reads until a read returns nothing and no wake-up came since it began. Nothing runs between the last `await` and
   * the end of `finally`, so the comparison sees each wake-up, or the wake-up finds `#reading` false.
   */
  async #catchUp(): Promise<void> {
    this.#reading = true
    try {
      while (this.#pushing && this.#claim) {
        const wakeUps = this.#wakeUps
        const envelopes = await this.#read(this.#claim)
        if (!this.#pushing) return
        if (envelopes === 'stale') return this.#stale()
        if (!envelopes.every(envelope => this.#push(envelope))) return
        if (this.#pushHints() && envelopes.length === 0 && wakeUps === this.#wakeUps) return
      }
    } catch (error) {
      this.#failed(error)
    } finally {
      this.#reading = false
    }
  }

  #read(claim: Claim): Promise<Envelope[] | 'stale'> {
    this.#context.metrics.inboxReads.inc()
    const { maxItems, maxBytes } = this.#window.room
    const limit = {
      maxItems: Math.max(1, Math.min(maxItems, limits.maxBatchItems)),
      maxBytes: Math.min(maxBytes, maxReadBytes),
    }
    return this.#context.store.inboxes.read(claim, this.#window.lastPushed, limit)
  }

  /** Pushes the hints that came during a read. Returns false if one does not follow the pushed envelopes. */
  #pushHints(): boolean {
    const hints = this.#hints.filter(({ seq }) => seq > this.#window.lastPushed).sort((a, b) => a.seq - b.seq)
    this.#hints = []
    return hints.every(envelope => this.#pushNext(envelope))
  }

  #failed(error: unknown): void {
    if (!(error instanceof StoreUnavailableError)) this.#context.log.error({ err: error }, 'delivery failed')
    if (this.#over) return
    this.#timers.retry?.cancel()
    this.#timers.retry = this.#context.clock.after(retryMs, () => this.#wake())
  }

  async #storeAck(): Promise<void> {
    this.#context.acks.leave(this.#storeAcks)
    const seq = this.#window.lastAcked
    if (!this.#claim || seq <= this.#storedAck) return
    try {
      const outcome = await this.#context.store.inboxes.ack(this.#claim, seq)
      if (outcome === 'acked') this.#storedAck = Math.max(this.#storedAck, seq)
      if (outcome === 'stale') this.#stale()
    } catch (error) {
      // An acknowledgement is cumulative, so the next check repeats it.
      if (!(error instanceof StoreUnavailableError)) this.#context.log.error({ err: error }, 'acknowledgement failed')
    }
  }

  /** Runs at each interval, because any hint or notice may have been lost. */
  #check(): void {
    void this.#storeAck()
    void this.#peek()
  }

  async #peek(): Promise<void> {
    if (!this.#pushing || this.#reading || !this.#claim) return
    try {
      const outcome = await this.#context.store.inboxes.peek(this.#claim, this.#window.lastPushed)
      if (outcome === 'stale') this.#stale()
      else if (outcome === 'some') this.#catchUpFor('timer')
    } catch (error) {
      this.#failed(error)
    }
  }

  /**
   * The claim is lost. A notice that names the new owner may still arrive; without one, the connection closes as
   * `draining`, and the agent reconnects.
   */
  #stale(): void {
    if (this.#over || this.#timers.lost || !this.#claim) return
    this.#pushing = false
    this.#timers.lost = this.#context.clock.after(replacedGraceMs, () => this.#lose('draining', 'the claim was lost'))
  }

  #replaced(epoch: number, instance: string): void {
    if (this.#over) return
    if (!this.#replacedBy || epoch > this.#replacedBy.epoch) this.#replacedBy = { epoch, instance }
    if (this.#claim && this.#replacedBy.epoch > this.#claim.epoch) this.#lose('replaced', this.#replacedBy.instance)
  }

  #lose(reason: CloseReason, text: string): void {
    if (this.#over) return
    this.#finish()
    void this.#receiver.close(reason, text)
  }

  async #askForKeys(): Promise<void> {
    try {
      this.#keysLow(await this.#context.store.keys.count(this.#username))
    } catch (error) {
      this.#failed(error)
    }
  }

  #keysLow(counts: KeyCounts): void {
    const low = counts.oneTimeKeys < limits.lowOneTimeKeys || counts.oneTimeKemKeys < limits.lowOneTimeKemKeys
    if (low && this.#pushing) this.#receiver.send(encodeFrame({ type: 'keys_low', ...counts }))
  }
}
