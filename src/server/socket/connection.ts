import { decodeClientFrame, encodeFrame, FrameError, type RawFrame } from '../../protocol/codec.ts'
import { type CloseReason, closeCodes, ProtocolError } from '../../protocol/errors.ts'
import type { ConnectionState, ServerFrame } from '../../protocol/frames.ts'
import { limits } from '../../protocol/limits.ts'
import type { Username } from '../../protocol/names.ts'
import type { Timer } from '../../util/timer.ts'
import { generateSecret, hashSecret } from '../base/secrets.ts'
import { toProtocolError, unavailable } from '../base/to-protocol-error.ts'
import { InboxDelivery } from '../delivery/inbox-delivery.ts'
import { SendStream } from '../delivery/send-batch.ts'
import type { OpenConnection } from '../node/connection-registry.ts'
import type { NodeContext } from '../node/node-context.ts'
import type { Login } from '../operations/login.ts'
import { FrameQueue, type Turn } from './frame-queue.ts'
import { FrameScheduler } from './frame-scheduler.ts'

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
  | { kind: 'authenticated'; session: Login; expiry: Timer }
  | { kind: 'listening'; session: Login; expiry: Timer; delivery: InboxDelivery }
  | { kind: 'closed' }

/** A close frame holds 125 bytes, two of them the code. */
const maxReasonChars = 120

/**
 * One socket's protocol, without the socket. Frames take effect in the order they came; sends do not wait for each other's answers,
 * any other frame waits for those before it. Everything it started ends with it.
 */
export class Connection implements OpenConnection {
  readonly id: string = generateSecret()
  readonly node: NodeContext
  readonly address: string
  readonly sends: SendStream
  readonly #wire: Wire
  readonly #turns: FrameScheduler
  #state: State
  readonly #frames: FrameQueue<RawFrame>
  #boundTo: string | undefined
  /** What the peer was told at login. */
  #generation: string | undefined
  #ended: Promise<void> = Promise.resolve()

  /** Sends the first challenge. `address` is whom its limits count for. */
  constructor(node: NodeContext, wire: Wire, address: string) {
    this.node = node
    this.address = address
    this.sends = new SendStream(this.id, () => this.#isCurrent())
    this.#wire = wire
    this.#turns = new FrameScheduler(this)
    this.#frames = new FrameQueue({ decode: raw => this.#decode(raw), pause: wire.pause, resume: wire.resume })
    const deadline = node.clock.after(
      limits.loginTimeoutMs,
      () => void this.close('loginTimeout', 'no login within 10 s'),
    )
    this.#state = { kind: 'challenged', nonce: '', failures: 0, deadline }
    node.connections.add(this, address)
    this.#challenge(this.#state)
  }

  /** `closed` counts as challenged: nothing is allowed there either. */
  get state(): ConnectionState {
    return this.#state.kind === 'closed' ? 'challenged' : this.#state.kind
  }

  /** Who has logged in. */
  get username(): Username | undefined {
    const state = this.#state
    return state.kind === 'authenticated' || state.kind === 'listening' ? state.session.username : undefined
  }

  get isClosed(): boolean {
    return this.#state.kind === 'closed'
  }

  /** Whether the peer must log in again to learn that mail may be lost. One that listens is told by its delivery. */
  get isOutdated(): boolean {
    return this.#state.kind === 'authenticated' && !this.#isCurrent()
  }

  /** @throws {ProtocolError} `unauthorized` before login. */
  get session(): Login {
    if (this.#state.kind === 'authenticated' || this.#state.kind === 'listening') return this.#state.session
    throw new ProtocolError('unauthorized', 'not logged in')
  }

  /** @throws {ProtocolError} `not_listening` */
  get delivery(): InboxDelivery {
    if (this.#state.kind === 'listening') return this.#state.delivery
    throw new ProtocolError('not_listening', 'not listening')
  }

  /** A frame from the peer, whatever it is. */
  receive(raw: RawFrame): void {
    this.#frames.push(raw)
  }

  /** The peer sent a ping or a pong: each is answered or costs a wake-up, so they count, too. */
  countControl(): void {
    if (!this.#turns.takeControl()) void this.close('rateLimited', 'too many pings')
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
    if (this.sends.isFull) void this.close('draining', 'too many recipients wait for a repetition')
  }

  /**
   * One attempt to log in, in its turn among all of the node: the nonce is gone whatever comes of it. A failed one is answered with
   * the error and a new challenge.
   * A token is bound before it is looked up, so that a revocation in between ends this connection; a new one is looked up, too.
   */
  async logIn(id: string, token: string | undefined, attempt: (nonce: string) => Promise<Login>): Promise<void> {
    if (this.#state.kind !== 'challenged') return
    const { nonce } = this.#state
    this.#state.nonce = ''
    try {
      await this.node.loginAdmission.turn(this.address)
      if (this.isClosed) return
      if (this.node.isDraining() || !this.node.store.isReady()) throw unavailable('come back at another node')
      if (token !== undefined) this.#bind(hashSecret(token))
      const session = await attempt(nonce)
      if (this.isClosed) return
      const isNew = session.tokenHash !== this.#boundTo
      if (isNew) this.#bind(session.tokenHash)
      const entry = await this.#entry(session, isNew)
      this.node.connections.admit(this, session.username)
      this.#loggedIn(id, session, entry)
    } catch (error) {
      this.#unbind()
      this.#loginFailed(id, toProtocolError(error), error)
    }
  }

  /** Claims the inbox of the user; a second time it answers with the claim it has. */
  async listen(id: string, instance: string): Promise<void> {
    if (this.#state.kind === 'listening') return this.#listenAgain(id, this.#state)
    const { username } = this.session
    // An id of its own: a claim that fails is given up by it, and may be tried again meanwhile.
    const delivery = new InboxDelivery(generateSecret(), username, this.#receiver(), this.node)
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

  /** The token ends by the connection's own wish, which therefore hears nothing of it. Where that fails, nothing has changed. */
  async logOut(): Promise<void> {
    const { tokenHash } = this.session
    this.#unbind()
    try {
      await this.node.store.revokeSession(tokenHash)
    } catch (error) {
      if (!this.isClosed) this.#bind(tokenHash)
      throw error
    }
    await this.stopListening()
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
    this.#turns.end()
    this.#unbind()
    this.node.connections.remove(this)
    if (state.kind === 'challenged') state.deadline.cancel()
    else state.expiry.cancel()
    if (state.kind === 'listening') this.#ended = state.delivery.stop()
    return this.#ended
  }

  /** A store out of reach does not say, and takes nothing either. */
  #isCurrent(): boolean {
    try {
      return this.#generation === this.node.store.generation()
    } catch {
      return false
    }
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

  /** What the answer to a login needs besides. @throws {ProtocolError} when the session has ended before it was bound. */
  async #entry({ username, tokenHash }: Login, isNew: boolean): Promise<{ reserved: number }> {
    const { store } = this.node
    const [reserved, session] = await Promise.all([store.reserve(username, 0), !isNew || store.findSession(tokenHash)])
    if (!session) throw new ProtocolError('unauthorized', 'the session has ended')
    return { reserved }
  }

  #loggedIn(id: string, session: Login, { reserved }: { reserved: number }): void {
    if (this.#state.kind !== 'challenged') return
    this.#state.deadline.cancel()
    const { username, token, expiresAt } = session
    const lifeMs = Math.max(0, expiresAt - this.node.store.now())
    const expiry = this.node.clock.after(lifeMs, () => void this.close('unauthorized', 'the session has expired'))
    this.#state = { kind: 'authenticated', session, expiry }
    const generation = this.node.store.generation()
    this.#generation = generation
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
      return this.#turns.toTurn(decodeClientFrame(raw), raw.length)
    } catch (error) {
      const id = error instanceof FrameError ? error.id : undefined
      return this.#turns.toErrorTurn(error, id, raw.length)
    }
  }
}
