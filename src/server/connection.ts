import { decodeClientFrame, encodeFrame, FrameError, type RawFrame } from '../protocol/codec.ts'
import { type CloseReason, closeCodes, ProtocolError } from '../protocol/errors.ts'
import type { ClientFrame, ConnectionState, ServerFrame } from '../protocol/frames.ts'
import { limits } from '../protocol/limits.ts'
import type { Timer } from './clock.ts'
import type { OpenConnection } from './connections.ts'
import { Delivery } from './delivery.ts'
import { dispatch, holdUp } from './dispatch.ts'
import { FrameQueue, type Turn } from './frame-queue.ts'
import { costOf, isPipelined } from './frame-rules.ts'
import type { AuthSession } from './operations/session.ts'
import { toRefusal, unavailable } from './refusal.ts'
import type { RelayNode } from './relay-node.ts'
import { generateSecret, hashSecret } from './secrets.ts'
import { SendStream } from './send-batch.ts'
import { TokenBucket } from './token-bucket.ts'

/** The socket as a connection sees it. */
export type Wire = {
  send(text: string): void
  close(code: number, reason: string): void
  bufferedBytes(): number
  /** Stops and goes on reading what the peer sends. */
  pause(): void
  resume(): void
}

type State =
  | { kind: 'challenged'; nonce: string; failures: number; deadline: Timer }
  | { kind: 'authenticated'; session: AuthSession; expiry: Timer }
  | { kind: 'listening'; session: AuthSession; expiry: Timer; delivery: Delivery }
  | { kind: 'closed' }

/** Frames a second: more than any agent needs, little enough that one cannot starve the rest. */
const frameRate = { perSecond: 5_000, burst: 10_000 }
/** Refusals for the rate that a peer may earn; one that earns more does not listen to reason. */
const refusalRate = { perSecond: 50, burst: 1_000 }
/** A close frame holds 125 bytes, two of them the code. */
const maxReasonChars = 120

/**
 * One socket's protocol, without the socket. Frames take effect in the order they came; sends do not wait for each other's answers,
 * any other frame waits for those before it. Everything it started ends with it.
 */
export class Connection implements OpenConnection {
  readonly id: string = generateSecret()
  readonly node: RelayNode
  readonly sends: SendStream
  readonly #wire: Wire
  readonly #rate: TokenBucket
  #state: State
  readonly #frames: FrameQueue<RawFrame>
  readonly #refusals: TokenBucket
  #boundTo: string | undefined
  #ended: Promise<void> = Promise.resolve()

  /** Sends the first challenge. */
  constructor(node: RelayNode, wire: Wire) {
    this.node = node
    this.sends = new SendStream(this.id)
    this.#wire = wire
    this.#rate = new TokenBucket(frameRate, node.clock)
    this.#refusals = new TokenBucket(refusalRate, node.clock)
    this.#frames = new FrameQueue({ decode: raw => this.#decode(raw), pause: wire.pause, resume: wire.resume })
    const deadline = node.clock.after(
      limits.loginTimeoutMs,
      () => void this.close('loginTimeout', 'no login within 10 s'),
    )
    this.#state = { kind: 'challenged', nonce: '', failures: 0, deadline }
    node.connections.add(this)
    this.#challenge(this.#state)
  }

  /** `closed` counts as challenged: nothing is allowed there either. */
  get state(): ConnectionState {
    return this.#state.kind === 'closed' ? 'challenged' : this.#state.kind
  }

  get isClosed(): boolean {
    return this.#state.kind === 'closed'
  }

  /** @throws {ProtocolError} `unauthorized` before login. */
  get session(): AuthSession {
    if (this.#state.kind === 'authenticated' || this.#state.kind === 'listening') return this.#state.session
    throw new ProtocolError('unauthorized', 'not logged in')
  }

  /** @throws {ProtocolError} `not_listening` */
  get delivery(): Delivery {
    if (this.#state.kind === 'listening') return this.#state.delivery
    throw new ProtocolError('not_listening', 'not listening')
  }

  /** A frame from the peer, whatever it is. */
  receive(raw: RawFrame): void {
    this.#frames.push(raw)
  }

  /** The peer sent a control frame; they count, too. */
  spend(): void {
    const retryAfter = this.#rate.take()
    if (retryAfter > 0) this.#countRateRefusal(retryAfter)
  }

  /** The socket has written everything it had. */
  drained(): void {
    if (this.#state.kind === 'listening') this.#state.delivery.drained()
  }

  send(text: string): void {
    if (this.isClosed) return
    this.#wire.send(text)
    if (this.#wire.bufferedBytes() > limits.maxBufferedBytes) void this.close('slowConsumer', '2 MiB wait to be read')
  }

  reply(frame: ServerFrame): void {
    this.send(encodeFrame(frame))
  }

  /** Answers a frame with an error; one that says so ends the connection. */
  refuse(error: ProtocolError, id: string | undefined): void {
    const { code, message, retryAfter } = error
    this.node.metrics.refused.inc({ code })
    this.reply({ type: 'error', ...(id !== undefined && { id }), code, message, ...(retryAfter && { retryAfter }) })
    if (error.close) void this.close(error.close, message)
  }

  /**
   * One attempt to log in: the nonce is gone whatever comes of it. A failed one is answered with the error and a new challenge.
   * A token is bound before it is looked up, so that a revocation in between ends this connection.
   */
  async logIn(id: string, token: string | undefined, attempt: (nonce: string) => Promise<AuthSession>): Promise<void> {
    if (this.#state.kind !== 'challenged') return
    const { nonce } = this.#state
    this.#state.nonce = ''
    try {
      if (this.node.isDraining() || !this.node.store.isReady()) throw unavailable('come back at another node')
      if (token !== undefined) this.#bind(hashSecret(token))
      const session = await attempt(nonce)
      const reserved = await this.node.store.reserve(session.username, 0)
      this.#loggedIn(id, session, reserved)
    } catch (error) {
      this.#unbind()
      this.#loginFailed(id, toRefusal(error), error)
    }
  }

  /** Claims the inbox of the user; a second time it answers with the claim it has. */
  async listen(id: string, instance: string): Promise<void> {
    if (this.#state.kind === 'listening') return this.#listenAgain(id, this.#state)
    const { username } = this.session
    const delivery = new Delivery(this.id, username, this.#receiver(), this.#deliveryContext())
    const { epoch, queued } = await delivery.claim(instance)
    if (this.#state.kind !== 'authenticated') return delivery.stop()
    this.#state = { ...this.#state, kind: 'listening', delivery }
    this.reply({ type: 'listening', id, epoch, queued })
    delivery.start()
  }

  /** Gives the claim up; resolves when that is done, and nothing is pushed after. */
  async stopListening(): Promise<void> {
    if (this.#state.kind !== 'listening') return
    const { delivery, session, expiry } = this.#state
    this.#state = { kind: 'authenticated', session, expiry }
    await delivery.stop()
  }

  /** The token ends by the connection's own wish, which therefore hears nothing of it. */
  async logOut(): Promise<void> {
    const { tokenHash } = this.session
    await this.stopListening()
    this.#unbind()
    try {
      await this.node.store.revokeSession(tokenHash)
    } catch (error) {
      this.#bind(tokenHash)
      throw error
    }
  }

  /** Closes the socket with a code of the table; resolves when the claim is given up. */
  close(reason: CloseReason, text = ''): Promise<void> {
    if (this.isClosed) return this.#ended
    this.node.metrics.closed.inc({ reason })
    const ended = this.end()
    this.#wire.close(closeCodes[reason].code, text.slice(0, maxReasonChars))
    return ended
  }

  /** The socket is gone, or goes: ends everything that belongs to it. */
  end(): Promise<void> {
    const state = this.#state
    if (state.kind === 'closed') return this.#ended
    this.#state = { kind: 'closed' }
    this.#frames.end()
    this.#unbind()
    this.node.connections.remove(this)
    if (state.kind === 'challenged') state.deadline.cancel()
    else state.expiry.cancel()
    if (state.kind === 'listening') this.#ended = state.delivery.stop()
    return this.#ended
  }

  #challenge(state: State & { kind: 'challenged' }): void {
    state.nonce = generateSecret()
    const { maxFrameBytes, maxBodyChars, maxUnacked, heartbeatMs } = limits
    this.reply({
      type: 'challenge',
      nonce: state.nonce,
      domain: this.node.config.domain,
      limits: { maxFrameBytes, maxBodyChars, maxUnacked, heartbeatMs },
    })
  }

  #loggedIn(id: string, session: AuthSession, reserved: number): void {
    if (this.#state.kind !== 'challenged') return
    this.#state.deadline.cancel()
    this.#bind(session.tokenHash)
    const { username, token, expiresAt } = session
    const lifeMs = Math.max(0, expiresAt - this.node.clock.now())
    const expiry = this.node.clock.after(lifeMs, () => void this.close('unauthorized', 'the session has expired'))
    this.#state = { kind: 'authenticated', session, expiry }
    const generation = this.node.store.generation()
    this.reply({ type: 'authenticated', id, username, token, expiresAt, generation, reserved })
  }

  /** Only what the peer did wrong counts; a store out of reach does not. */
  #loginFailed(id: string, refusal: ProtocolError, cause: unknown): void {
    if (refusal.code === 'internal') this.node.log.error({ err: cause, connection: this.id, id }, 'login failed')
    this.refuse(refusal, id)
    if (this.#state.kind !== 'challenged') return
    if (refusal.retry !== 'yes') this.#state.failures += 1
    if (this.#state.failures < limits.maxLoginFailures) this.#challenge(this.#state)
    else void this.close('unauthorized', 'three logins failed')
  }

  async #listenAgain(id: string, { session, delivery }: State & { kind: 'listening' }): Promise<void> {
    const queued = await this.node.store.countQueued(session.username)
    this.reply({ type: 'listening', id, epoch: delivery.epoch, queued })
  }

  #receiver() {
    return {
      send: (text: string) => this.send(text),
      bufferedBytes: () => this.#wire.bufferedBytes(),
      lost: (reason: CloseReason, text: string) => void this.close(reason, text),
    }
  }

  #deliveryContext() {
    const { store, listeners, releases, clock, log, random, metrics } = this.node
    const counts = { pushed: () => metrics.pushed.inc(), read: () => metrics.inboxReads.inc() }
    return { store, listeners, releases, clock, log, random, counts }
  }

  #bind(tokenHash: string): void {
    this.#unbind()
    this.#boundTo = tokenHash
    this.node.connections.bind(tokenHash, this)
  }

  #unbind(): void {
    if (this.#boundTo !== undefined) this.node.connections.unbind(this.#boundTo, this)
    this.#boundTo = undefined
  }

  #decode(raw: RawFrame): Turn {
    try {
      return this.#toTurn(decodeClientFrame(raw))
    } catch (error) {
      const id = error instanceof FrameError ? error.id : undefined
      return { pipelined: false, start: () => this.refuse(toRefusal(error), id) }
    }
  }

  #toTurn(frame: ClientFrame): Turn {
    const retryAfter = this.#rate.take(costOf(frame.type))
    if (retryAfter > 0) return this.#overRate(frame, retryAfter)
    return { pipelined: isPipelined(frame.type), start: () => dispatch(this, frame) }
  }

  #overRate(frame: ClientFrame, retryAfter: number): Turn {
    this.#countRateRefusal(retryAfter)
    holdUp(this, frame)
    const refusal = new ProtocolError('rate_limited', 'too many frames', { retryAfter })
    return { pipelined: false, start: () => this.refuse(refusal, 'id' in frame ? frame.id : undefined) }
  }

  #countRateRefusal(retryAfter: number): void {
    if (this.#refusals.take() > 0) void this.close('rateLimited', `come back in ${retryAfter} s`)
  }
}
