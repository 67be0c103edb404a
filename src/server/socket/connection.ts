import { encodeFrame, type RawFrame } from '../../protocol/codec.ts'
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
import { type Login, login, register, resume } from '../operations/login.ts'
import type { LoginFrame } from '../rate-limits/frame-rules.ts'
import type { Reserved } from '../store/store.ts'
import type { FrameContext } from './frame-context.ts'
import { FrameQueue } from './frame-queue.ts'
import { FrameScheduler } from './frame-scheduler.ts'

/** The socket as a connection sees it. */
export type Wire = {
  send(text: string): void
  close(code: number, reason: string): void
  bufferedBytes(): number
  /** Stops reading from the peer until `resume`. */
  pause(): void
  resume(): void
}

type State =
  | { kind: 'challenged'; nonce: string; failures: number; deadline: Timer }
  | { kind: 'authenticated'; login: Login; expiry: Timer }
  | { kind: 'listening'; login: Login; expiry: Timer; delivery: InboxDelivery }
  | { kind: 'closed' }

/** A close frame holds 125 bytes, two of them the code. */
const maxReasonChars = 120

/**
 * The protocol of one socket, without the socket. A frame enters by `receive`, passes queue, scheduler and handler, and
 * its answer leaves by `reply`. Frames take effect in order: sends do not wait for each other's answers, any other
 * frame waits for the frames before it. Everything that a connection started ends with it.
 */
export class Connection implements OpenConnection, FrameContext {
  readonly id: string = generateSecret()
  readonly node: NodeContext
  readonly sendStream: SendStream
  readonly #address: string
  readonly #wire: Wire
  readonly #scheduler: FrameScheduler
  readonly #frames: FrameQueue<RawFrame>
  #state: State
  #boundTo: string | undefined
  /** The store's generation that the login told the peer. */
  #generation: string | undefined
  #ended: Promise<void> = Promise.resolve()

  /** Sends the first challenge. `address` is the key that limits per IP address count by. */
  constructor(node: NodeContext, wire: Wire, address: string) {
    this.node = node
    this.sendStream = new SendStream(this.id, () => this.#isCurrent())
    this.#address = address
    this.#wire = wire
    this.#scheduler = new FrameScheduler(this)
    this.#frames = new FrameQueue({
      decode: raw => this.#scheduler.toTask(raw),
      pause: wire.pause,
      resume: wire.resume,
    })
    const deadline = node.clock.after(
      limits.loginTimeoutMs,
      () => void this.close('loginTimeout', 'no login within 10 s'),
    )
    this.#state = { kind: 'challenged', nonce: '', failures: 0, deadline }
    node.connections.add(this, address)
    this.#challenge(this.#state)
  }

  /** A closed connection counts as challenged, where nothing is allowed either. */
  get state(): ConnectionState {
    return this.#state.kind === 'closed' ? 'challenged' : this.#state.kind
  }

  get username(): Username | undefined {
    const state = this.#state
    return state.kind === 'authenticated' || state.kind === 'listening' ? state.login.username : undefined
  }

  get isClosed(): boolean {
    return this.#state.kind === 'closed'
  }

  /** True if the peer must log in again to learn that mail may be lost. The delivery closes a listening connection. */
  get isOutdated(): boolean {
    return this.#state.kind === 'authenticated' && !this.#isCurrent()
  }

  get login(): Login {
    if (this.#state.kind === 'authenticated' || this.#state.kind === 'listening') return this.#state.login
    throw new ProtocolError('unauthorized', 'not logged in')
  }

  get delivery(): InboxDelivery {
    if (this.#state.kind === 'listening') return this.#state.delivery
    throw new ProtocolError('not_listening', 'not listening')
  }

  /** Takes a frame from the peer, valid or not. */
  receive(raw: RawFrame): void {
    this.#frames.push(raw)
  }

  /** Counts a WebSocket ping or pong of the peer: each costs a reply or a wake-up. */
  countControl(): void {
    if (!this.#scheduler.takeControl()) void this.close('rateLimited', 'too many pings')
  }

  /** The socket has written all its data. */
  drained(): void {
    if (this.#state.kind === 'listening') this.#state.delivery.drained()
  }

  /** Bytes that the socket has not written yet. */
  bufferedBytes(): number {
    return this.#wire.bufferedBytes()
  }

  send(text: string): void {
    if (this.isClosed) return
    this.#wire.send(text)
    if (this.bufferedBytes() > limits.maxBufferedBytes)
      void this.close('slowConsumer', '2 MiB wait for the peer to read')
  }

  reply(frame: ServerFrame): void {
    this.send(encodeFrame(frame))
  }

  refuse(error: ProtocolError, id: string | undefined): void {
    const { code, message, retryAfter } = error
    this.node.metrics.refused.inc({ code })
    this.reply({ type: 'error', ...(id !== undefined && { id }), code, message, ...(retryAfter && { retryAfter }) })
    // A store that is out of reach is not the fault of the user.
    if (retryAfter !== undefined && code !== 'unavailable') this.#scheduler.refused()
    if (error.close) void this.close(error.close, message)
    if (this.sendStream.isFull) void this.close('draining', 'too many recipients wait for a repeated send')
  }

  /**
   * Waits until the node admits this login, then tries it once. The nonce serves one attempt, whatever its result.
   * A token is bound before the store looks it up, so that a revocation in between ends this connection. A new token is
   * looked up once more after it is bound.
   */
  async logIn(frame: LoginFrame): Promise<void> {
    if (this.#state.kind !== 'challenged') return
    const { nonce } = this.#state
    this.#state.nonce = ''
    try {
      await this.node.loginAdmission.turn(this.#address)
      if (this.isClosed) return
      if (this.node.isDraining() || !this.node.store.isReady())
        throw unavailable('this node takes no logins now: connect to another node')
      if (frame.type === 'authenticate' && frame.token !== undefined) this.#bind(hashSecret(frame.token))
      const attempt = await this.#attempt(frame, nonce)
      if (this.isClosed) return
      const isNew = attempt.tokenHash !== this.#boundTo
      if (isNew) this.#bind(attempt.tokenHash)
      const reserved = await this.#checkBound(attempt, isNew)
      this.node.connections.admit(this, attempt.username)
      this.#loggedIn(frame.id, attempt, reserved)
    } catch (error) {
      this.#unbind()
      this.#loginFailed(frame.id, toProtocolError(error), error)
    }
  }

  async listen(id: string, instance: string): Promise<void> {
    if (this.#state.kind === 'listening') return this.#listenAgain(id, this.#state)
    const { username } = this.login
    // Not the connection's id: the store releases a failed claim by its id, while this connection may claim again.
    const delivery = new InboxDelivery(generateSecret(), username, this, this.node)
    const { epoch, queued } = await delivery.claim(instance)
    if (this.#state.kind !== 'authenticated') return delivery.stop()
    this.#state = { ...this.#state, kind: 'listening', delivery }
    this.reply({ type: 'listening', id, epoch, queued })
    delivery.start()
  }

  async stopListening(): Promise<void> {
    if (this.#state.kind !== 'listening') return
    const { delivery, login, expiry } = this.#state
    this.#state = { kind: 'authenticated', login, expiry }
    await delivery.stop()
  }

  /** Unbinds first, so that the revocation which this connection asked for does not close it. */
  async logOut(): Promise<void> {
    const { tokenHash } = this.login
    this.#unbind()
    try {
      await this.node.store.logins.revoke(tokenHash)
    } catch (error) {
      if (!this.isClosed) this.#bind(tokenHash)
      throw error
    }
    await this.stopListening()
  }

  /** Closes the socket with the code of `reason`, and counts it as `counted`. Resolves when the claim is released. */
  close(reason: CloseReason, text = '', counted: string = reason): Promise<void> {
    if (this.isClosed) return this.#ended
    this.node.metrics.closed.inc({ reason: counted })
    const ended = this.end()
    this.#wire.close(closeCodes[reason].code, text.slice(0, maxReasonChars))
    return ended
  }

  /** Ends everything that belongs to the connection. Called when the socket has closed or is about to close. */
  end(): Promise<void> {
    const state = this.#state
    if (state.kind === 'closed') return this.#ended
    this.#state = { kind: 'closed' }
    this.#frames.end()
    this.#scheduler.end()
    this.#unbind()
    this.node.connections.remove(this)
    if (state.kind === 'challenged') state.deadline.cancel()
    else state.expiry.cancel()
    if (state.kind === 'listening') this.#ended = state.delivery.stop()
    return this.#ended
  }

  /** False as well while the store is out of reach: it takes no sends then either. */
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

  #attempt(frame: LoginFrame, nonce: string): Promise<Login> {
    if (frame.type === 'register') return register(this.node, this.#address, { ...frame, nonce })
    const { token, username = '', signature = '' } = frame
    return token === undefined
      ? login(this.node, this.#address, { username, signature, nonce })
      : resume(this.node, token)
  }

  /** Returns the user's reserved numbers. @throws {ProtocolError} if a new token was revoked before it was bound. */
  async #checkBound({ username, tokenHash }: Login, isNew: boolean): Promise<Reserved> {
    const { store } = this.node
    const [reserved, found] = await Promise.all([
      store.inboxes.readReserved(username),
      !isNew || store.logins.find(tokenHash),
    ])
    if (!found) throw new ProtocolError('unauthorized', 'the login has ended')
    return reserved
  }

  #loggedIn(id: string, attempt: Login, { upTo: reserved, reservation }: Reserved): void {
    if (this.#state.kind !== 'challenged') return
    this.#state.deadline.cancel()
    const { username, token, expiresAt } = attempt
    const lifeMs = Math.max(0, expiresAt - this.node.store.now())
    const expiry = this.node.clock.after(lifeMs, () => void this.close('unauthorized', 'the login has expired'))
    this.#state = { kind: 'authenticated', login: attempt, expiry }
    this.node.lastSeen.loggedIn(username)
    const generation = this.node.store.generation()
    this.#generation = generation
    this.reply({
      type: 'authenticated',
      id,
      username,
      token,
      expiresAt,
      generation,
      reserved,
      ...(reservation && { reservation }),
    })
  }

  /** Counts only failures of the peer, not of the store. */
  #loginFailed(id: string, refusal: ProtocolError, cause: unknown): void {
    if (refusal.code === 'internal') this.node.log.error({ err: cause, connection: this.id, id }, 'login failed')
    this.refuse(refusal, id)
    if (this.#state.kind !== 'challenged') return
    if (!refusal.retry) this.#state.failures += 1
    if (this.#state.failures < limits.maxLoginFailures) this.#challenge(this.#state)
    else void this.close('unauthorized', 'three logins failed')
  }

  async #listenAgain(id: string, { login, delivery }: State & { kind: 'listening' }): Promise<void> {
    const queued = await this.node.store.inboxes.countQueued(login.username)
    this.reply({ type: 'listening', id, epoch: delivery.epoch, queued })
  }

  /** From here on, a revocation of the token closes this connection. */
  #bind(tokenHash: string): void {
    this.#unbind()
    this.#boundTo = tokenHash
    this.node.connections.bind(tokenHash, this)
  }

  #unbind(): void {
    if (this.#boundTo !== undefined) this.node.connections.unbind(this.#boundTo, this)
    this.#boundTo = undefined
  }
}
