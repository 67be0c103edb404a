import { generateIdentity } from '../crypto/identity.ts'
import { cryptoLimits } from '../crypto/limits.ts'
import { randomBytes } from '../crypto/primitives.ts'
import type { ServerFrameOf } from '../protocol/frames.ts'
import { parseRecipient, parseUsername, type Username } from '../protocol/names.ts'
import { encodeUtf8 } from '../util/bytes.ts'
import { Emitter } from '../util/emitter.ts'
import { raceAbort, sleep } from '../util/signal.ts'
import { type Account, Identity, publicAccount } from './account.ts'
import { type Agent, newId } from './agent.ts'
import { Connector } from './connector.ts'
import { ClosedError, NotRegisteredError, SelfError, TooLargeError } from './errors.ts'
import type { ClientEvents } from './events.ts'
import { Inbox, type ReceivedMessage } from './inbox.ts'
import { Intake } from './intake.ts'
import type { Link } from './link.ts'
import { authenticate, register, resume } from './login.ts'
import { type Accepted, Outbox } from './outbox.ts'
import { Progress } from './progress.ts'
import { Publisher } from './publisher.ts'
import { Receipts } from './receipts.ts'
import { type ReceiveOptions, receive } from './receive.ts'
import { Receiver } from './receiver.ts'
import { drainOneTimeKeys, resetStale } from './recover.ts'

import { checkDomain, parseServerUrl } from './server-url.ts'
import { Sessions } from './sessions.ts'
import type { Dial } from './socket.ts'
import type { StateStore } from './state/state-store.ts'

export type ClientOptions = {
  /** `ws://host:port` or `wss://host`. */
  server: string
  store: StateStore
  dial: Dial
  /** The deployment's domain, where it is not the host of `server`. */
  domain?: string
  /** Cryptographically secure bytes. */
  random?: (bytes: number) => Uint8Array
  /** Milliseconds since 1970. */
  now?: () => number
}

export type SendOptions = {
  /** How long a node keeps the message for an absent recipient, seconds. */
  ttlS?: number
  /** Stops waiting for `accepted`; the message stays on its way. */
  signal?: AbortSignal
}

export type ListedUser = ServerFrameOf<'user_list'>['users'][number]

/** How long `close` waits for what is on its way, ms. It is in the state, and goes on with the next start. */
const lingerMs = 2_000

/**
 * An agent's connection to its correspondents. Everything that must survive is in the store before it matters; several
 * processes may use one store. All methods may be called at the same time.
 */
export class Client {
  readonly #options: ClientOptions
  readonly #identity: Identity
  readonly #events = new Emitter<ClientEvents>()
  readonly #closing = new AbortController()
  readonly #agent: Agent
  readonly #connector: Connector
  readonly #sessions: Sessions
  readonly #publisher: Publisher
  readonly #progress: Progress
  readonly #outbox: Outbox
  readonly #receipts: Receipts
  readonly #inbox: Inbox
  readonly #intake: Intake
  readonly #receiver: Receiver
  #receiving = 0

  private constructor(options: ClientOptions, identity: Identity) {
    const { store, dial, random = randomBytes, now = Date.now } = options
    this.#options = options
    this.#identity = identity
    this.#connector = new Connector({
      dial,
      url: parseServerUrl(options.server).url,
      login: link => this.#login(link),
      random: () => new DataView(random(4).buffer).getUint32(0) / 2 ** 32,
      events: this.#events,
    })
    this.#agent = {
      store,
      random,
      now,
      events: this.#events,
      instance: newId(random),
      closing: this.#closing.signal,
      self: () => identity.required,
      mayEncrypt: step => this.#progress.covers(step),
      link: () => this.#connector.link(),
    }
    this.#progress = new Progress(this.#agent)
    this.#publisher = new Publisher(this.#agent)
    this.#sessions = new Sessions(this.#agent)
    this.#outbox = new Outbox(this.#agent, this.#sessions, this.#progress)
    this.#receipts = new Receipts(this.#agent, this.#outbox)
    this.#inbox = new Inbox(this.#agent, this.#receipts)
    this.#intake = new Intake({
      agent: this.#agent,
      inbox: this.#inbox,
      receipts: this.#receipts,
      sessions: this.#sessions,
      outbox: this.#outbox,
    })
    this.#receiver = new Receiver(this.#agent, this.#intake, this.#publisher)
  }

  /**
   * Opens the client over its state. Nothing is dialled yet.
   * @throws {StateError} when the state cannot be read.
   * @throws {ServerUrlError}
   */
  static async open(options: ClientOptions): Promise<Client> {
    if (options.domain !== undefined) checkDomain(options.domain)
    parseServerUrl(options.server)
    const client = new Client(options, await Identity.open(options.store))
    await client.#inbox.open()
    return client
  }

  /** The registered identity, or null before `register`. */
  get account(): Account | null {
    const { self } = this.#identity
    return self ? publicAccount(self) : null
  }

  /** Returns what removes the listener. */
  on<Name extends keyof ClientEvents>(name: Name, listener: (event: ClientEvents[Name]) => void): () => void {
    return this.#events.on(name, listener)
  }

  /**
   * Claims a name at the server with a key of this agent's own. Once it has resolved, the agent is logged in and can be
   * written to. It may be repeated after a failure.
   * @throws {AlreadyRegisteredError} {ProtocolError} `username_taken`, `invalid_username`, `forbidden`
   * @throws {DomainMismatchError} {UnreachableError}
   */
  async register(username: string, options: { invite?: string } = {}): Promise<Account> {
    this.#checkOpen()
    const name = parseUsername(username)
    const { seed } = generateIdentity(this.#agent.random)
    const self = await this.#identity.prepare(name, this.#domain(), seed)
    await this.#publisher.prepare()
    const link = await this.#connector.connectWith(async fresh => {
      const answer = await register({ link: fresh, self, newId: this.#newId }, options.invite)
      await this.#identity.confirm(answer)
      await this.#progress.compare(answer.reserved)
    })
    await this.#publisher.publish(link)
    return publicAccount(self)
  }

  /**
   * Connects and logs in now, in one attempt. Every other method does so by itself, and keeps trying.
   * @throws {NotRegisteredError} {UnreachableError} {DomainMismatchError} {ProtocolError}
   */
  async connect(): Promise<void> {
    this.#checkOpen()
    await this.#identity.reload()
    void this.#agent.self()
    await this.#connector.connect()
  }

  /**
   * Sends a message. Resolves when a node has stored it for the recipient; it is in the state before anything leaves.
   * @param to `name` or `name@domain`
   * @throws {ProtocolError} the node's refusal: `unknown_user`, `message_too_large`, …
   * @throws {IdentityChangedError} {TooLargeError} {NotRegisteredError}
   */
  async send(to: string, body: string | Uint8Array, { ttlS, signal }: SendOptions = {}): Promise<Accepted> {
    this.#checkOpen()
    const peer = parseRecipient(to, this.#agent.self().domain)
    if (peer === this.#agent.self().username) throw new SelfError()
    const bytes = typeof body === 'string' ? encodeUtf8(body) : body
    if (bytes.length > cryptoLimits.maxContentBytes) throw new TooLargeError(bytes.length, cryptoLimits.maxContentBytes)
    signal?.throwIfAborted()
    const draft = { id: this.#newId(), kind: 'application', body: bytes, ...(ttlS !== undefined && { ttlS }) } as const
    const { accepted } = await this.#outbox.send(peer, draft)
    return signal ? raceAbort(accepted, signal) : accepted
  }

  /**
   * Listens, and yields messages in order. A message is acknowledged when the loop asks for the next one, or by its own
   * `ack`; one that was not is shown again, marked `repeated`. When the last iteration ends, listening ends.
   * @throws {ReplacedError} when another connection listens for this user.
   */
  async *receive(options: ReceiveOptions = {}): AsyncGenerator<ReceivedMessage, void, undefined> {
    this.#checkOpen()
    void this.#agent.self()
    this.#receiving += 1
    try {
      const ended = AbortSignal.any([this.#receiver.start(), this.#closing.signal])
      yield* receive(this.#inbox, this.#intake, ended, options)
    } finally {
      this.#receiving -= 1
      if (this.#receiving === 0) await this.#receiver.stop()
    }
  }

  /** Ends every iteration of `receive` and gives the inbox up. Sending goes on. */
  stopListening(): Promise<void> {
    return this.#receiver.stop()
  }

  /** Users, sorted by name; pages are fetched as the loop goes on. */
  async *users(query: { online?: boolean; prefix?: string } = {}): AsyncGenerator<ListedUser, void, undefined> {
    let cursor: string | null | undefined
    while (cursor !== null) {
      const link = await this.#link()
      const page = await link.request({
        type: 'list_users',
        id: this.#newId(),
        ...query,
        ...(cursor !== undefined && { cursor }),
      })
      yield* page.users
      cursor = page.cursor
    }
  }

  /** Asks the node for a sign of life. Links do so by themselves. @returns the node's clock, ms since 1970. */
  async heartbeat(): Promise<{ timeMs: number }> {
    const { time } = await (await this.#link()).request({ type: 'heartbeat', id: this.#newId() })
    return { timeMs: time }
  }

  /** Makes sure that there is a session to send with, from the peer's published keys or, without any, live. */
  async getOrCreateSession(peer: string): Promise<void> {
    await this.#link()
    await this.#sessions.ensure(parseRecipient(peer, this.#agent.self().domain))
  }

  /**
   * Starts a fresh session with a peer that is there now: docs/E2E.md section 12. Both sides must be receiving.
   * @throws {KeyExchangeError} after `timeoutMs` (default 30 s), or when the peer declines.
   */
  async initiateKeyExchange(peer: string, options: { timeoutMs?: number } = {}): Promise<void> {
    await this.#link()
    await this.#sessions.initiate(parseRecipient(peer, this.#agent.self().domain), options.timeoutMs)
  }

  /** Goes over to a new session, from the peer's published keys: docs/E2E.md section 7, rule 7. What is on its way stays readable. */
  async renewSession(peer: string): Promise<void> {
    await this.#link()
    const username = parseRecipient(peer, this.#agent.self().domain)
    await this.#sessions.reset(username, 'renewal')
    this.#outbox.pump(username)
  }

  /** Ends this login at every node. The identity and all state stay; the next operation logs in again. */
  async logout(): Promise<void> {
    const link = await this.#link()
    await this.#receiver.stop()
    await link.request({ type: 'logout', id: this.#newId() })
    await this.#identity.forgetToken()
    await link.closed
  }

  /** Lets go of everything. What is not accepted yet is in the state and goes on at the next start. */
  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return
    await this.#receiver.stop()
    if (this.#connector.isOnline) await this.#linger()
    this.#closing.abort(new ClosedError())
    await this.#connector.close()
    await this.#outbox.close()
    await this.#options.store.close()
  }

  /** Gives receipts and messages that are on their way a moment. */
  async #linger(): Promise<void> {
    await this.#receipts.flush()
    const enough = new AbortController()
    await Promise.race([this.#outbox.idle(), sleep(lingerMs, enough.signal).catch(() => {})])
    enough.abort()
  }

  readonly #newId = (): string => newId(this.#agent.random)

  #domain(): string {
    return this.#options.domain ?? parseServerUrl(this.#options.server).domain
  }

  #checkOpen(): void {
    this.#closing.signal.throwIfAborted()
  }

  async #link(): Promise<Link> {
    this.#checkOpen()
    void this.#agent.self()
    return this.#agent.link()
  }

  /** Proves who we are on a fresh link: with the token kept from last time, else with a signature. */
  async #login(link: Link): Promise<void> {
    const { self, token } = this.#identity
    if (!self) throw new NotRegisteredError()
    const proof = { link, self: { ...self, domain: this.#options.domain ?? self.domain }, newId: this.#newId }
    let answer = token === undefined ? null : await resume(proof, token)
    answer ??= await authenticate(proof)
    const { generation } = answer
    const before = await this.#identity.confirm(answer)
    await this.#progress.compare(answer.reserved)
    if (before !== undefined) this.#events.emit('generation', { from: before, to: generation })
    queueMicrotask(() => void this.#afterLogin(link, before !== undefined))
  }

  /** What an earlier connection or process left to do. */
  async #afterLogin(link: Link, mayHaveLost: boolean): Promise<void> {
    try {
      if (mayHaveLost) await this.#outbox.sendAgain()
      await drainOneTimeKeys(this.#agent, link)
      await this.#publisher.publish(link)
      await this.#outbox.resume()
      await this.#receipts.resume()
      await resetStale(this.#agent, this.#sessions, this.#outbox)
    } catch (error) {
      // A broken link says so itself, and the next one does the rest.
      if (link.isOpen) this.#events.emit('failed', { error: asError(error) })
    }
  }
}

const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)))

export type { Username }
