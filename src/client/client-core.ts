import { defaultPolicy } from '../crypto/policy.ts'
import { randomBytes } from '../crypto/primitives.ts'
import { asError } from '../util/as-error.ts'
import { Emitter } from '../util/emitter.ts'
import { sleep } from '../util/signal.ts'
import { NotRegisteredError } from './base/errors.ts'
import type { ClientEvents } from './base/events.ts'
import { newId } from './base/new-id.ts'
import { sweep } from './cleanup.ts'
import type { ClientContext } from './connection/client-context.ts'
import type { Identity } from './connection/identity.ts'
import type { Link } from './connection/link.ts'
import { type Authenticated, resume } from './connection/login.ts'
import { logIn, recordServerLoss, republishCard } from './connection/reclaim-name.ts'
import { ReconnectingLink } from './connection/reconnecting-link.ts'
import { parseServerUrl } from './connection/server-url.ts'
import { Inbox } from './inbox/inbox.ts'
import { Intake } from './inbox/incoming.ts'
import { Receiver } from './inbox/listener.ts'
import { Attendance } from './inbox/listener-lease.ts'
import { Receipts } from './inbox/receipts.ts'
import { Repairs } from './inbox/retry-undecryptable.ts'
import type { ClientOptions } from './options.ts'
import { Confirmations } from './outbox/confirmations.ts'
import { Outbox } from './outbox/outbox.ts'
import { loadPeer } from './records/crypto-records.ts'
import { Requests } from './requests/requests.ts'
import { Peers } from './sessions/peers.ts'
import { Publisher } from './sessions/prekey-publisher.ts'
import { Progress } from './sessions/rollback-guard.ts'
import { drainOneTimeKeys } from './sessions/rollback-recovery.ts'
import { Sessions } from './sessions/sessions.ts'

/** How often an open link looks whether prekeys are due for rotation and records have served their time, ms. */
const upkeepMs = 3_600_000

/** What one client is made of, put together; and what all of them need done at a login. */
export class Parts {
  readonly identity: Identity
  readonly events = new Emitter<ClientEvents>()
  readonly closing = new AbortController()
  readonly context: ClientContext
  readonly connector: ReconnectingLink
  readonly confirmations: Confirmations
  readonly progress: Progress
  readonly publisher: Publisher
  readonly sessions: Sessions
  readonly peers: Peers
  readonly outbox: Outbox
  readonly receipts: Receipts
  readonly inbox: Inbox
  readonly intake: Intake
  readonly repairs: Repairs
  readonly receiver: Receiver
  readonly attendance: Attendance
  readonly requests: Requests
  readonly #domain: string | undefined

  constructor(options: ClientOptions, identity: Identity) {
    const { store, dial, domain, policy, random = randomBytes, now = Date.now } = options
    const { events } = this
    this.identity = identity
    this.#domain = domain
    this.connector = new ReconnectingLink({
      dial,
      url: parseServerUrl(options.server).url,
      login: link => this.#login(link),
      dropToken: () => this.identity.forgetToken(),
      random,
      events,
    })
    this.context = {
      store,
      random,
      now,
      policy: { ...defaultPolicy, ...policy },
      events,
      instance: newId(random),
      closing: this.closing.signal,
      self: () => identity.required,
      loadPeer: (tx, name) => loadPeer(tx, name, identity.required.domain),
      mayEncrypt: step => this.progress.covers(step),
      link: () => this.connector.link(),
    }
    this.confirmations = new Confirmations(this.context)
    this.progress = new Progress(this.context)
    this.publisher = new Publisher(this.context)
    this.sessions = new Sessions(this.context)
    this.peers = new Peers(this.context)
    this.outbox = new Outbox(this.context, this.sessions, this.progress)
    this.receipts = new Receipts(this.context, this.outbox)
    this.inbox = new Inbox(this.context, this.receipts)
    this.intake = new Intake({
      context: this.context,
      inbox: this.inbox,
      receipts: this.receipts,
      sessions: this.sessions,
      outbox: this.outbox,
      requests: {
        answered: () => this.requests.answered(),
        withdrawn: (from, id) => this.requests.withdrawn(from, id),
      },
      repair: () => void this.repairs.look(),
      rotate: () => void this.#publishSoon(),
    })
    this.repairs = new Repairs(this.context, this.intake, this.sessions, this.outbox)
    this.receiver = new Receiver(this.context, this.intake, this.publisher)
    this.attendance = new Attendance(this.context, this.receiver)
    this.requests = new Requests(this)
  }

  /** Proves who we are on a fresh link: with the token kept from last time, else with a signature. */
  async #login(link: Link): Promise<void> {
    const { self, token } = this.identity
    if (!self) throw new NotRegisteredError()
    const domain = this.#domain ?? self.domain
    const proof = { link, self: { ...self, domain } }
    const resumed = token === undefined ? null : await resume(proof, token)
    const { answer, isAgain } = resumed
      ? { answer: resumed, isAgain: false }
      : await logIn(proof, this.context, this.identity)
    await this.enter(answer, isAgain ? 'again' : 'known')
    queueMicrotask(() => void this.#afterLogin(link))
  }

  /** What a server's answer to a login changes here. `again`: it did not know this agent any more. */
  async enter(answer: Authenticated, as: 'first' | 'known' | 'again'): Promise<void> {
    const { generation } = answer
    const before = this.identity.generationBefore(generation)
    // Before the new one is on record, or a crash in between would lose it; and before anybody sends on this link, or newer messages would overtake.
    if (before !== undefined || as === 'again') {
      await this.context.store.transaction(tx => recordServerLoss(tx, this.context.now()))
      await this.outbox.sendAgain()
    }
    await this.identity.confirm(answer)
    await this.progress.compare(answer.reserved)
    if (as === 'again') this.events.emit('registered-again', {})
    if (before !== undefined) this.events.emit('generation', { from: before, to: generation })
  }

  /** What an earlier connection or process left to do. */
  async #afterLogin(link: Link): Promise<void> {
    try {
      await drainOneTimeKeys(this.context, link)
      await this.publisher.publish(link)
      await republishCard(this.context, link)
      await this.outbox.resume()
      await this.receipts.resume()
      await this.repairs.look()
      await sweep(this.context)
      await this.#keepUp(link)
    } catch (error) {
      // A broken link says so itself, and the next one does the rest.
      if (link.isOpen) this.events.emit('failed', { error: asError(error) })
    }
  }

  /** What is due from time to time, as long as the link lasts. */
  async #keepUp(link: Link): Promise<void> {
    const ended = new AbortController()
    void link.closed.then(() => ended.abort())
    while (link.isOpen) {
      await sleep(upkeepMs, ended.signal)
      await this.publisher.publish(link)
      await sweep(this.context)
    }
  }

  async #publishSoon(): Promise<void> {
    try {
      await this.publisher.publish(await this.context.link())
    } catch (error) {
      if (!this.closing.signal.aborted) this.events.emit('failed', { error: asError(error) })
    }
  }
}
