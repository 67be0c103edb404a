import { defaultPolicy } from '../crypto/policy.ts'
import { randomBytes } from '../crypto/primitives.ts'
import { asError } from '../util/as-error.ts'
import { Emitter } from '../util/emitter.ts'
import type { ClientEvents } from './base/events.ts'
import { newId } from './base/new-id.ts'
import type { ClientContext } from './connection/client-context.ts'
import type { Identity } from './connection/identity.ts'
import { ReconnectingLink } from './connection/reconnecting-link.ts'
import { parseServerUrl } from './connection/server-url.ts'
import { Inbox } from './inbox/inbox.ts'
import { Intake } from './inbox/incoming.ts'
import { Receiver } from './inbox/listener.ts'
import { Attendance } from './inbox/listener-lease.ts'
import { Receipts } from './inbox/receipts.ts'
import { Repairs } from './inbox/retry-undecryptable.ts'
import { LoginFlow } from './login-flow.ts'
import type { ClientOptions } from './options.ts'
import { Confirmations } from './outbox/confirmations.ts'
import { Outbox } from './outbox/outbox.ts'
import { loadPeer } from './records/crypto-records.ts'
import { Requests } from './requests/requests.ts'
import { Peers } from './sessions/peers.ts'
import { Publisher } from './sessions/prekey-publisher.ts'
import { Progress } from './sessions/rollback-guard.ts'
import { Sessions } from './sessions/sessions.ts'

/** Composition root: creates the parts of one client and connects them. */
export class ClientCore {
  readonly identity: Identity
  readonly events = new Emitter<ClientEvents>()
  readonly closing = new AbortController()
  readonly context: ClientContext
  readonly connection: ReconnectingLink
  readonly login: LoginFlow
  readonly confirmations: Confirmations
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

  constructor(options: ClientOptions, identity: Identity) {
    const { store, dial, domain, policy, random = randomBytes, now = Date.now } = options
    const { events, closing } = this
    this.identity = identity
    this.connection = new ReconnectingLink({
      dial,
      url: parseServerUrl(options.server).url,
      random,
      logIn: link => this.login.logIn(link),
      dropToken: () => identity.forgetToken(),
      events,
    })
    const context: ClientContext = {
      store,
      random,
      now,
      policy: { ...defaultPolicy, ...policy },
      events,
      instance: newId(random),
      closing: closing.signal,
      self: () => identity.required,
      loadPeer: (tx, name) => loadPeer(tx, name, identity.required.domain),
      mayEncrypt: step => progress.covers(step),
      link: () => this.connection.link(),
    }
    const progress = new Progress(context)
    this.context = context
    this.confirmations = new Confirmations(context)
    this.publisher = new Publisher(context)
    this.sessions = new Sessions(context)
    this.peers = new Peers(context)
    this.outbox = new Outbox(context, this.sessions, progress)
    this.receipts = new Receipts(context, this.outbox)
    this.inbox = new Inbox(context, this.receipts)
    this.intake = new Intake({
      context,
      inbox: this.inbox,
      receipts: this.receipts,
      sessions: this.sessions,
      outbox: this.outbox,
      requests: {
        answered: () => this.requests.answered(),
        withdrawn: (from, id) => this.requests.withdrawn(from, id),
      },
      repair: () => void this.repairs.look(),
      rotate: () => void this.#publishNewBundle(),
    })
    this.repairs = new Repairs(context, this.intake, this.sessions, this.outbox)
    this.receiver = new Receiver(context, this.intake, this.publisher)
    this.attendance = new Attendance(context, this.receiver)
    const { outbox, inbox, receipts, attendance, publisher, repairs } = this
    this.requests = new Requests({ context, outbox, inbox, receipts, attendance })
    this.login = new LoginFlow({ context, identity, domain, progress, publisher, outbox, receipts, repairs })
  }

  async #publishNewBundle(): Promise<void> {
    try {
      await this.publisher.publish(await this.context.link())
    } catch (error) {
      if (!this.closing.signal.aborted) this.events.emit('failed', { error: asError(error) })
    }
  }
}
