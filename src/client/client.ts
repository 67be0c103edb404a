import { generateIdentity } from '../crypto/keys/identity.ts'
import { suites } from '../crypto/suites.ts'
import { parseRecipient, parseUsername, type Username } from '../protocol/names.ts'
import { raceAbort, sleep } from '../util/signal.ts'
import { options as members, object, oneOf, optional, stateStore, text } from './base/arguments.ts'
import { checkMethods } from './base/checked-methods.ts'
import { ClosedError, InvalidArgumentError, SelfError } from './base/errors.ts'
import type { ClientEvents } from './base/events.ts'
import { newId } from './base/new-id.ts'
import { ClientCore } from './client-core.ts'
import { clientMethods } from './client-methods.ts'
import { openLink } from './connection/client-context.ts'
import { type Account, Identity, toAccount } from './connection/identity.ts'
import type { Link } from './connection/link.ts'
import { checkDomain, parseServerUrl } from './connection/server-url.ts'
import { AccessControl } from './directory/access-control.ts'
import { Cards } from './directory/cards.ts'
import { type ListedUser, listUsers, type UserQuery } from './directory/users.ts'
import { Mailbox } from './inbox/mailbox.ts'
import { type ReceiveOptions, receive } from './inbox/receive.ts'
import { type Content, encodeMedia } from './messages/content.ts'
import { nextHop } from './messages/hops.ts'
import type { MessageView, ReceivedMessage } from './messages/message.ts'
import type { ClientOptions, SendOptions } from './options.ts'
import type { Accepted } from './outbox/send-result.ts'
import { type HandlerOptions, handleRequests, type RequestHandler } from './requests/request-handler.ts'
import type { Answered, RequestOptions } from './requests/requests.ts'
import type { AppliedDecision, DecisionOptions, KeyDecision, PeerIdentity } from './trust/peers.ts'

/** How long `close` waits for outgoing messages, ms. The state keeps the rest, and the next start continues with it. */
const lingerMs = 2_000

const checkOptions = object({
  server: text,
  store: stateStore,
  domain: optional(text),
  policy: members({ minSuite: oneOf(...suites), maxSuite: oneOf(...suites) }),
})

/**
 * One agent: sends and receives its messages. The client stores everything that must survive before it acts on it.
 * Several processes may share one store. All methods may be called concurrently.
 */
export class Client {
  readonly #options: ClientOptions
  readonly #core: ClientCore
  /** Reads unacknowledged messages without taking them. */
  readonly mailbox: Mailbox
  /** Decides which agents may write to this one, and lists and ends its logins. */
  readonly access: AccessControl
  /** Publishes this agent's card and reads the cards of others. */
  readonly cards: Cards

  private constructor(options: ClientOptions, core: ClientCore) {
    const { context, inbox, listenerLease } = core
    this.#options = options
    this.#core = core
    this.mailbox = new Mailbox({ context, inbox, listenerLease })
    this.access = new AccessControl(context)
    this.cards = new Cards(context)
  }

  /**
   * Opens the client with its state, without connecting.
   * @throws {StateError} if the state cannot be read.
   * @throws {ServerUrlError} if `server` or `domain` is not valid.
   * @internal
   */
  static async open(options: ClientOptions): Promise<Client> {
    checkOptions(options, 'options')
    const { minSuite = 1, maxSuite = 2 } = options.policy ?? {}
    if (minSuite > maxSuite) throw new InvalidArgumentError('minSuite', 'must not be above maxSuite')
    if (options.domain !== undefined) checkDomain(options.domain)
    parseServerUrl(options.server)
    const core = new ClientCore(options, await Identity.open(options.store))
    await core.store.open()
    await core.inbox.open()
    await core.rollbackGuard.open()
    await core.requests.resume()
    return new Client(options, core)
  }

  /** The registered identity, or null before `register`. */
  get account(): Account | null {
    const { self } = this.#core.identity
    return self ? toAccount(self) : null
  }

  /** Adds an event handler. @returns a function that removes it. */
  on<Name extends keyof ClientEvents>(name: Name, handler: (event: ClientEvents[Name]) => void): () => void {
    return this.#core.events.on(name, handler)
  }

  /**
   * Claims a name at the server, with a key that belongs to this state. When it resolves, the agent is logged in and
   * other agents can write to it. The caller may repeat it after a failure.
   * @throws {AlreadyRegisteredError} {ProtocolError} `username_taken`, `invalid_username`, `forbidden`
   * @throws {DomainMismatchError} {UnreachableError}
   */
  async register(username: string, options: { invite?: string } = {}): Promise<Account> {
    this.#checkOpen()
    const { context, identity, prekeyPublisher, connection, login, outbox } = this.#core
    const name = parseUsername(username)
    const { seed } = generateIdentity(context.random)
    const self = await identity.prepare(name, this.#domain(), seed)
    await prekeyPublisher.prepare()
    const link = await connection.connectWith(fresh => login.register(fresh, self, options))
    await prekeyPublisher.publish(link)
    await outbox.resume()
    return toAccount(self)
  }

  /**
   * Connects and logs in now, in one attempt. Every other method connects by itself and keeps trying.
   * @throws {NotRegisteredError} {UnreachableError} {DomainMismatchError} {ProtocolError}
   */
  async connect(): Promise<void> {
    this.#checkOpen()
    await this.#core.identity.reload()
    void this.#core.context.self()
    await this.#core.connection.connect()
  }

  /**
   * Starts all sessions again, as if this state were an older copy: the way back if `connect` fails with
   * `RecoveryNeededError`, or if messages to and from many peers cannot be read. Peers send unconfirmed messages again.
   * @returns the number of peers that get a reset
   * @throws what `connect` throws
   */
  async recover(): Promise<{ peers: number }> {
    const { rollbackGuard, connection, events, outbox, prekeyPublisher } = this.#core
    rollbackGuard.ask()
    let peers = 0
    const off = events.on('restored', event => {
      peers = event.peers
    })
    try {
      await connection.drop()
      await this.connect()
      await prekeyPublisher.publish(await connection.link())
      await outbox.idle()
    } finally {
      off()
    }
    return { peers }
  }

  /**
   * Sends a message. Resolves when a node has stored it for the recipient. The state has it before it is sent.
   * @param to `name` or `name@domain`
   * @throws {ProtocolError} the node's refusal: `unknown_user`, `message_too_large`, …
   * @throws {IdentityChangedError} {TooLargeError} {NotRegisteredError}
   */
  async send(to: string, content: Content, { ttlS, signal, inReplyTo, onStored }: SendOptions = {}): Promise<Accepted> {
    const peer = this.#other(to)
    const hops = nextHop(inReplyTo)
    const body = encodeMedia(content, inReplyTo ? { re: inReplyTo.id, hops } : {})
    signal?.throwIfAborted()
    const id = newId(this.#core.context.random)
    const draft = { id, kind: 'application', body, ...(ttlS !== undefined && { ttlS }) } as const
    const { accepted } = await this.#core.outbox.send(peer, draft)
    onStored?.(id)
    return signal ? raceAbort(accepted, signal) : accepted
  }

  /**
   * Sends a request and waits for its one reply. Listens meanwhile, unless another process of this agent does.
   * @throws {RequestTimeoutError}
   * @throws {RequestRefusedError} with the peer's code, or `would_deadlock` if the peer waits for a reply of this
   * agent.
   * @throws the signal's reason; what `send` throws
   */
  async request(to: string, content: Content, options: RequestOptions = {}): Promise<MessageView> {
    return this.#core.requests.ask(this.#other(to), content, options)
  }

  /**
   * Calls a handler for each incoming request. What it returns is the reply. `receive` does not yield requests
   * meanwhile.
   * @returns a function that ends this and resolves when the running handlers are done. It rejects with the error that
   * made listening impossible.
   */
  onRequest(handler: RequestHandler, options: HandlerOptions = {}): () => Promise<void> {
    this.#checkOpen()
    const { context, inbox, requests, listenerLease, events, closing } = this.#core
    const end = new AbortController()
    const signal = AbortSignal.any([end.signal, closing.signal])
    const handling = handleRequests({ context, inbox, requests, listenerLease }, handler, options, signal)
    handling.catch(error => events.emit('failed', { error }))
    return () => {
      end.abort()
      return handling
    }
  }

  /** Replies, once, to a request that `receive` or the mailbox returned. @throws {NotOpenError} {TooLargeError} */
  reply(request: Answered, content: Content): Promise<void> {
    return this.#core.requests.reply(request, content)
  }

  /** Sends a part of a reply before the reply itself. @throws {NotOpenError} {TooLargeError} */
  part(request: Answered, content: Content): Promise<void> {
    return this.#core.requests.part(request, content)
  }

  /** Replies to a request with a refusal. @param error `code` is 1 to 64 of a-z 0-9 _ @throws {NotOpenError} */
  refuse(request: Answered, error: { code: string; message: string }): Promise<void> {
    return this.#core.requests.refuse(request, error)
  }

  /**
   * Listens until `signal` aborts, for an application that reads the mailbox. Does not take the inbox over from another
   * process of this agent.
   * @throws the error that made listening impossible
   */
  attend(signal: AbortSignal): Promise<void> {
    this.#checkOpen()
    void this.#core.context.self()
    return this.#core.listenerLease.keepListening(AbortSignal.any([signal, this.#core.closing.signal]))
  }

  /**
   * Waits until the recipient's client has a message on disk (`delivered`) or its application has acknowledged the
   * message (`read`). Any process of this agent that listens receives the receipts; all processes see those of the last
   * day.
   * @param id from `send`
   * @throws the reason why the message was given up; the signal's reason; {ClosedError}
   */
  confirmed(id: string, state: 'delivered' | 'read', { signal }: { signal?: AbortSignal } = {}): Promise<void> {
    const { confirmations, closing } = this.#core
    const ends = AbortSignal.any(signal ? [signal, closing.signal] : [closing.signal])
    return confirmations.wait(id, state, ends)
  }

  /**
   * Listens and yields messages in order. A message is acknowledged when the loop asks for the next one, or by its own
   * `ack`. A message that was not acknowledged is yielded again, marked `repeated`. Listening ends with the last loop.
   * @throws {ReplacedError} if another connection listens for this user now.
   */
  async *receive(options: ReceiveOptions = {}): AsyncGenerator<ReceivedMessage, void, undefined> {
    this.#checkOpen()
    const { context, inbox, incoming, listenerLease, closing } = this.#core
    void context.self()
    const listening = listenerLease.acquire()
    try {
      const ended = AbortSignal.any([listening, closing.signal])
      yield* receive(inbox, incoming, ended, options)
    } finally {
      await listenerLease.release()
    }
  }

  /** Ends every `receive` loop and releases the inbox. Sending continues. */
  stopListening(): Promise<void> {
    return this.#core.listener.stop()
  }

  /** Yields users, sorted by name. Fetches each page when the loop needs it. */
  users(query: UserQuery = {}): AsyncGenerator<ListedUser, void, undefined> {
    return listUsers(this.#core.context, this.cards, query)
  }

  /**
   * Makes sure that there is a session to send with: from the peer's published keys or, without any, by a live
   * exchange.
   */
  async getOrCreateSession(peer: string): Promise<void> {
    await this.#link()
    await this.#core.sessions.ensure(this.#recipient(peer))
  }

  /**
   * Starts a fresh session by a live exchange: docs/E2E.md section 12. Both agents must be listening.
   * @throws {KeyExchangeError} after `timeoutMs` (default 30 s), or if the peer declines.
   */
  async initiateKeyExchange(peer: string, options: { timeoutMs?: number } = {}): Promise<void> {
    await this.#link()
    await this.#core.sessions.initiate(this.#recipient(peer), options.timeoutMs)
  }

  /**
   * Starts a new session from the peer's published keys: docs/E2E.md section 7, rule 7. Messages that are on their way
   * stay readable.
   */
  async renewSession(peer: string): Promise<void> {
    await this.#link()
    const username = this.#recipient(peer)
    await this.#core.sessions.renewNow(username)
    this.#core.outbox.flush(username)
  }

  /**
   * Returns a peer's identity key, its trust, and the safety number to compare.
   * @throws {UnknownPeerError} before the first message in either direction.
   */
  async identityOf(peer: string): Promise<PeerIdentity> {
    return this.#core.peers.identity(this.#recipient(peer))
  }

  /**
   * Marks a peer as verified after a comparison. From then on, messages that come under this key are `verified`.
   * @param shown the safety number or the identity key that the peer's own side shows
   * @param options `unconfirmed`: what becomes of messages to the peer without a receipt if this pins another key;
   *   default `send`
   * @throws {NotComparedError} if it is a different one; nothing changes. {UnknownPeerError}
   */
  async verifyPeer(peer: string, shown: string, options: DecisionOptions = {}): Promise<KeyDecision> {
    const username = this.#recipient(peer)
    return this.#decided(username, await this.#core.peers.verify(username, shown, options))
  }

  /**
   * Accepts a peer's changed key as `first-use`. Sending to the peer and receiving from it continue.
   * @param identity the key to accept, as `identityOf` has shown it: base64url, or its safety number
   * @param options `unconfirmed` is required if messages to the peer have no receipt yet
   * @throws {UnknownKeyError} if the peer has not used this key. {UnconfirmedMessagesError} {UnknownPeerError} Nothing
   *   changes.
   */
  async trustPeer(peer: string, identity: string, options: DecisionOptions = {}): Promise<KeyDecision> {
    const username = this.#recipient(peer)
    return this.#decided(username, await this.#core.peers.trust(username, identity, options))
  }

  /** Keeps the pinned key of a peer. Messages under the other key stay refused. @throws {UnknownPeerError} */
  async distrustChange(peer: string): Promise<void> {
    const username = this.#recipient(peer)
    this.#core.inbox.moved(await this.#core.peers.dismiss(username))
    this.#core.requests.answered()
    this.#resume(username)
  }

  /**
   * Forgets the key, the trust and the sessions of a peer whose record is damaged. The next key seen is pinned as
   * `first-use`: compare it again. Messages that wait are asked for, or sent, again. Returns false if the record is not
   * damaged.
   */
  async repairPeer(peer: string): Promise<boolean> {
    const username = this.#recipient(peer)
    const moved = await this.#core.peers.repair(username)
    if (!moved) return false
    this.#core.inbox.moved(moved)
    this.#resume(username)
    return true
  }

  /** Ends this login at every node. The identity and the state stay. The next operation logs in again. */
  async logout(): Promise<void> {
    const link = await this.#link()
    await this.#core.listener.stop()
    await link.request({ type: 'logout' })
    await this.#core.identity.forgetToken()
    await link.closed
  }

  /**
   * Closes the connection and the store. The state keeps messages that no node has accepted yet; the next start sends
   * them.
   */
  async close(): Promise<void> {
    const { closing, listener, connection, outbox } = this.#core
    if (closing.signal.aborted) return
    await listener.stop()
    if (connection.isOnline) await this.#linger()
    closing.abort(new ClosedError())
    await connection.close()
    await outbox.close()
    await this.#options.store.close()
  }

  /** Sends due receipts, and waits up to `lingerMs` for outgoing messages. */
  async #linger(): Promise<void> {
    const { receipts, outbox } = this.#core
    await receipts.flush()
    const enough = new AbortController()
    await Promise.race([outbox.idle(), sleep(lingerMs, enough.signal).catch(() => {})])
    enough.abort()
  }

  /** Informs the parts of the client about a decision, and continues what a changed key had stopped. */
  #decided(username: Username, { decision, sorted, dropped, error }: AppliedDecision): KeyDecision {
    const { inbox, outbox, requests, events } = this.#core
    for (const key of sorted.removed) inbox.removed(key)
    inbox.moved(sorted.moved)
    for (let count = 0; count < sorted.restored; count += 1) inbox.stored()
    outbox.dropped(username, dropped, error)
    requests.keyDecided(username, { ...sorted, dropped, error })
    if (decision.withheld > 0) events.emit('withheld', { peer: username, messages: decision.withheld })
    this.#resume(username)
    return decision
  }

  /** Continues everything that a changed key had stopped. */
  #resume(username: Username): void {
    const { inbox, outbox, connection, undecryptableRetries } = this.#core
    inbox.rewind()
    outbox.flush(username)
    if (connection.isOnline) void undecryptableRetries.run()
  }

  /** Parses a recipient. @throws {SelfError} if it is this agent itself. */
  #other(to: string): Username {
    const peer = this.#recipient(to)
    if (peer === this.#core.context.self().username) throw new SelfError()
    return peer
  }

  #recipient(peer: string): Username {
    this.#checkOpen()
    return parseRecipient(peer, this.#core.context.self().domain)
  }

  #domain(): string {
    return this.#options.domain ?? parseServerUrl(this.#options.server).domain
  }

  #checkOpen(): void {
    this.#core.closing.signal.throwIfAborted()
  }

  #link(): Promise<Link> {
    return openLink(this.#core.context)
  }
}
checkMethods(Client, clientMethods)

export type { Username }
