import { CryptoError } from '../crypto/errors.ts'
import { generateIdentity } from '../crypto/keys/identity.ts'
import { parseRecipient, parseUsername, type Username } from '../protocol/names.ts'
import { eachPage } from '../util/pages.ts'
import { raceAbort, sleep } from '../util/signal.ts'
import { ClosedError, IdentityChangedError, SelfError } from './base/errors.ts'
import type { ClientEvents } from './base/events.ts'
import { newId } from './base/new-id.ts'
import { Parts } from './client-core.ts'
import { openLink } from './connection/client-context.ts'
import { type Account, Identity, toAccount } from './connection/identity.ts'
import type { Link } from './connection/link.ts'
import { register } from './connection/login.ts'
import { checkDomain, parseServerUrl } from './connection/server-url.ts'
import { Access } from './directory/access-control.ts'
import { Cards } from './directory/cards.ts'
import { Mailbox } from './inbox/mailbox.ts'
import { type ReceiveOptions, receive } from './inbox/receive.ts'
import { type Content, encodeMedia } from './messages/content.ts'
import type { MessageView, ReceivedMessage } from './messages/message.ts'
import type { ClientOptions, ListedUser, SendOptions, UserQuery } from './options.ts'
import type { Accepted } from './outbox/outbox.ts'
import { type HandlerOptions, handleRequests, type RequestHandler } from './requests/request-handler.ts'
import { type Answered, nextHop, type RequestOptions } from './requests/requests.ts'
import type { PeerIdentity } from './sessions/peers.ts'

/** How long `close` waits for what is on its way, ms. It is in the state, and goes on with the next start. */
const lingerMs = 2_000

/**
 * An agent's connection to its correspondents. Everything that must survive is in the store before it matters; several
 * processes may use one store. All methods may be called at the same time.
 */
export class Client {
  readonly #options: ClientOptions
  readonly #parts: Parts
  /** Unacknowledged messages, to look at without taking them. */
  readonly mailbox: Mailbox
  /** Who may write to this agent, and its logins. */
  readonly access: Access
  /** What agents say of themselves. */
  readonly cards: Cards

  private constructor(options: ClientOptions, parts: Parts) {
    this.#options = options
    this.#parts = parts
    this.mailbox = new Mailbox(parts)
    this.access = new Access(parts)
    this.cards = new Cards(parts)
  }

  /**
   * Opens the client over its state. Nothing is dialled yet.
   * @throws {StateError} when the state cannot be read.
   * @throws {ServerUrlError}
   */
  static async open(options: ClientOptions): Promise<Client> {
    if (options.domain !== undefined) checkDomain(options.domain)
    parseServerUrl(options.server)
    const parts = new Parts(options, await Identity.open(options.store))
    await parts.inbox.open()
    await parts.requests.resume()
    return new Client(options, parts)
  }

  /** The registered identity, or null before `register`. */
  get account(): Account | null {
    const { self } = this.#parts.identity
    return self ? toAccount(self) : null
  }

  /** Returns what removes the listener. */
  on<Name extends keyof ClientEvents>(name: Name, listener: (event: ClientEvents[Name]) => void): () => void {
    return this.#parts.events.on(name, listener)
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
    const { seed } = generateIdentity(this.#parts.context.random)
    const self = await this.#parts.identity.prepare(name, this.#domain(), seed)
    await this.#parts.publisher.prepare()
    const link = await this.#parts.connector.connectWith(async fresh => {
      const answer = await register({ link: fresh, self }, options)
      await this.#parts.enter(answer, 'first')
    })
    await this.#parts.publisher.publish(link)
    await this.#parts.outbox.resume()
    return toAccount(self)
  }

  /**
   * Connects and logs in now, in one attempt. Every other method does so by itself, and keeps trying.
   * @throws {NotRegisteredError} {UnreachableError} {DomainMismatchError} {ProtocolError}
   */
  async connect(): Promise<void> {
    this.#checkOpen()
    await this.#parts.identity.reload()
    void this.#parts.context.self()
    await this.#parts.connector.connect()
  }

  /**
   * Sends a message. Resolves when a node has stored it for the recipient; it is in the state before anything leaves.
   * @param to `name` or `name@domain`
   * @throws {ProtocolError} the node's refusal: `unknown_user`, `message_too_large`, …
   * @throws {IdentityChangedError} {TooLargeError} {NotRegisteredError}
   */
  async send(to: string, content: Content, { ttlS, signal, inReplyTo }: SendOptions = {}): Promise<Accepted> {
    const peer = this.#other(to)
    const hops = nextHop(inReplyTo)
    const body = encodeMedia(content, inReplyTo ? { re: inReplyTo.id, hops } : {})
    signal?.throwIfAborted()
    const draft = { id: this.#newId(), kind: 'application', body, ...(ttlS !== undefined && { ttlS }) } as const
    const { accepted } = await this.#parts.outbox.send(peer, draft)
    return signal ? raceAbort(accepted, signal) : accepted
  }

  /**
   * Asks, and waits for the one reply. It listens meanwhile, unless another process of this agent does.
   * @throws {RequestTimeoutError} {RequestRefusedError} with the peer's code, or `would_deadlock` when the peer waits for an answer of ours
   * @throws the signal's reason; what `send` throws
   */
  async request(to: string, content: Content, options: RequestOptions = {}): Promise<MessageView> {
    return this.#parts.requests.ask(this.#other(to), content, options)
  }

  /**
   * Answers requests as they come; `receive` does not yield them meanwhile. What the handler returns is the reply.
   * @returns what ends it, once what is under way is done. Rejects with what made listening pointless.
   */
  onRequest(handler: RequestHandler, options: HandlerOptions = {}): () => Promise<void> {
    this.#checkOpen()
    const end = new AbortController()
    const signal = AbortSignal.any([end.signal, this.#parts.closing.signal])
    const handling = handleRequests(this.#parts, handler, options, signal)
    handling.catch(error => this.#parts.events.emit('failed', { error }))
    return () => {
      end.abort()
      return handling
    }
  }

  /** Answers a request that `receive` or the mailbox showed. It counts once. @throws {NotOpenError} {TooLargeError} */
  reply(request: Answered, content: Content): Promise<void> {
    return this.#parts.requests.reply(request, content)
  }

  /** Sends a part of an answer ahead. @throws {NotOpenError} {TooLargeError} */
  part(request: Answered, content: Content): Promise<void> {
    return this.#parts.requests.part(request, content)
  }

  /** Answers a request with a refusal. @param error `code` is 1 to 64 of a-z 0-9 _ @throws {NotOpenError} */
  refuse(request: Answered, error: { code: string; message: string }): Promise<void> {
    return this.#parts.requests.refuse(request, error)
  }

  /**
   * Listens until `signal` aborts, for whoever looks into the mailbox. Where another process of this agent listens, that one goes on.
   * @throws what made listening pointless
   */
  attend(signal: AbortSignal): Promise<void> {
    this.#checkOpen()
    void this.#parts.context.self()
    return this.#parts.attendance.attend(AbortSignal.any([signal, this.#parts.closing.signal]))
  }

  /**
   * Waits until the recipient's client has a message on disk (`delivered`) or its application has acknowledged it (`read`). Receipts are taken in
   * by whichever process of this agent listens; those of the last day are known to all of them.
   * @param id from `send`
   * @throws what the message was given up for; the signal's reason; {ClosedError}
   */
  confirmed(id: string, state: 'delivered' | 'read', { signal }: { signal?: AbortSignal } = {}): Promise<void> {
    const ends = AbortSignal.any(signal ? [signal, this.#parts.closing.signal] : [this.#parts.closing.signal])
    return this.#parts.confirmations.wait(id, state, ends)
  }

  /**
   * Listens, and yields messages in order. A message is acknowledged when the loop asks for the next one, or by its own
   * `ack`; one that was not is shown again, marked `repeated`. When the last iteration ends, listening ends.
   * @throws {ReplacedError} when another connection listens for this user.
   */
  async *receive(options: ReceiveOptions = {}): AsyncGenerator<ReceivedMessage, void, undefined> {
    this.#checkOpen()
    void this.#parts.context.self()
    const listening = this.#parts.attendance.take()
    try {
      const ended = AbortSignal.any([listening, this.#parts.closing.signal])
      yield* receive(this.#parts.inbox, this.#parts.intake, ended, options)
    } finally {
      await this.#parts.attendance.release()
    }
  }

  /** Ends every iteration of `receive` and gives the inbox up. Sending goes on. */
  stopListening(): Promise<void> {
    return this.#parts.receiver.stop()
  }

  /** Users, sorted by name; pages are fetched as the loop goes on. */
  async *users(query: UserQuery = {}): AsyncGenerator<ListedUser, void, undefined> {
    const pages = eachPage(async next => {
      const link = await this.#link()
      return link.request({ type: 'list_users', ...query, ...next })
    })
    for await (const { users } of pages)
      for (const { card, ...user } of users)
        yield { ...user, ...(card !== undefined && (await this.#readCard(user.username, card))) }
  }

  async #readCard(username: string, card: string): Promise<Pick<ListedUser, 'card' | 'cardError'>> {
    try {
      return { card: await this.cards.read(parseUsername(username), card) }
    } catch (error) {
      if (error instanceof CryptoError || error instanceof IdentityChangedError) return { cardError: error.message }
      throw error
    }
  }

  /** Asks the node for a sign of life. Links do so by themselves. @returns the node's clock, ms since 1970. */
  async heartbeat(): Promise<{ timeMs: number }> {
    const { time } = await (await this.#link()).request({ type: 'heartbeat' })
    return { timeMs: time }
  }

  /** Makes sure that there is a session to send with, from the peer's published keys or, without any, live. */
  async getOrCreateSession(peer: string): Promise<void> {
    await this.#link()
    await this.#parts.sessions.ensure(this.#recipient(peer))
  }

  /**
   * Starts a fresh session with a peer that is there now: docs/E2E.md section 12. Both sides must be receiving.
   * @throws {KeyExchangeError} after `timeoutMs` (default 30 s), or when the peer declines.
   */
  async initiateKeyExchange(peer: string, options: { timeoutMs?: number } = {}): Promise<void> {
    await this.#link()
    await this.#parts.sessions.initiate(this.#recipient(peer), options.timeoutMs)
  }

  /** Goes over to a new session, from the peer's published keys: docs/E2E.md section 7, rule 7. What is on its way stays readable. */
  async renewSession(peer: string): Promise<void> {
    await this.#link()
    const username = this.#recipient(peer)
    await this.#parts.sessions.startAnew(username)
    this.#parts.outbox.pump(username)
  }

  /**
   * What is known of a peer's identity key, and the safety number to compare.
   * @throws {UnknownPeerError} before the first message in either direction.
   */
  async identityOf(peer: string): Promise<PeerIdentity> {
    return this.#parts.peers.identity(this.#recipient(peer))
  }

  /**
   * Notes that a peer's key was compared: `shown` is the safety number or the identity key that the peer's own side shows. From then on
   * its messages are `verified`.
   * @throws {NotComparedError} when it is another one: nothing changes. {UnknownPeerError}
   */
  async verifyPeer(peer: string, shown: string): Promise<void> {
    const username = this.#recipient(peer)
    await this.#parts.peers.verify(username, shown)
    this.#decided(username)
  }

  /** Accepts a peer's changed key as a new one, first met now. Sending and showing go on. @throws {UnknownPeerError} */
  async trustPeer(peer: string): Promise<void> {
    const username = this.#recipient(peer)
    await this.#parts.peers.trust(username)
    this.#decided(username)
  }

  /** Stays with the pinned key of a peer: what comes under another one stays refused. @throws {UnknownPeerError} */
  async distrustChange(peer: string): Promise<void> {
    const username = this.#recipient(peer)
    await this.#parts.peers.dismiss(username)
    this.#decided(username)
  }

  /** Ends this login at every node. The identity and all state stay; the next operation logs in again. */
  async logout(): Promise<void> {
    const link = await this.#link()
    await this.#parts.receiver.stop()
    await link.request({ type: 'logout' })
    await this.#parts.identity.forgetToken()
    await link.closed
  }

  /** Lets go of everything. What is not accepted yet is in the state and goes on at the next start. */
  async close(): Promise<void> {
    if (this.#parts.closing.signal.aborted) return
    await this.#parts.receiver.stop()
    if (this.#parts.connector.isOnline) await this.#linger()
    this.#parts.closing.abort(new ClosedError())
    await this.#parts.connector.close()
    await this.#parts.outbox.close()
    await this.#options.store.close()
  }

  /** Gives receipts and messages that are on their way a moment. */
  async #linger(): Promise<void> {
    await this.#parts.receipts.flush()
    const enough = new AbortController()
    await Promise.race([this.#parts.outbox.idle(), sleep(lingerMs, enough.signal).catch(() => {})])
    enough.abort()
  }

  /** What a changed key had held up goes on. */
  #decided(username: Username): void {
    this.#parts.inbox.rewind()
    this.#parts.outbox.pump(username)
    if (this.#parts.connector.isOnline) void this.#parts.repairs.look()
  }

  /** Somebody else. */
  #other(to: string): Username {
    const peer = this.#recipient(to)
    if (peer === this.#parts.context.self().username) throw new SelfError()
    return peer
  }

  #recipient(peer: string): Username {
    this.#checkOpen()
    return parseRecipient(peer, this.#parts.context.self().domain)
  }

  readonly #newId = (): string => newId(this.#parts.context.random)

  #domain(): string {
    return this.#options.domain ?? parseServerUrl(this.#options.server).domain
  }

  #checkOpen(): void {
    this.#parts.closing.signal.throwIfAborted()
  }

  #link(): Promise<Link> {
    return openLink(this.#parts.context)
  }
}

export type { Username }
