import { defaultPolicy } from '../crypto/policy.ts'
import { randomBytes } from '../crypto/provider.ts'
import { asError } from '../util/as-error.ts'
import { Emitter } from '../util/emitter.ts'
import { applyEffect } from './apply-effect.ts'
import type { ClientEvents } from './base/events.ts'
import { newId } from './base/new-id.ts'
import type { ClientContext } from './connection/client-context.ts'
import type { Identity } from './connection/identity.ts'
import { ReconnectingLink } from './connection/reconnecting-link.ts'
import { parseServerUrl } from './connection/server-url.ts'
import { Inbox } from './inbox/inbox.ts'
import { IncomingQueue } from './inbox/incoming.ts'
import { Listener } from './inbox/listener.ts'
import { ListenerLease } from './inbox/listener-lease.ts'
import { Receipts } from './inbox/receipts.ts'
import { UndecryptableRetries } from './inbox/retry-undecryptable.ts'
import { LoginFlow } from './login-flow.ts'
import type { ClientOptions } from './options.ts'
import { Confirmations } from './outbox/confirmations.ts'
import { Outbox } from './outbox/outbox.ts'
import { loadPeer } from './records/crypto-records.ts'
import { RepairingStore } from './repairing-store.ts'
import { Requests } from './requests/requests.ts'
import { PrekeyPublisher } from './sessions/prekey-publisher.ts'
import { RollbackGuard } from './sessions/rollback-guard.ts'
import { Sessions } from './sessions/sessions.ts'
import { Peers } from './trust/peers.ts'

/** Composition root: creates the parts of one client and connects them. */
export class ClientCore {
  readonly identity: Identity
  readonly events = new Emitter<ClientEvents>()
  readonly closing = new AbortController()
  readonly store: RepairingStore
  readonly context: ClientContext
  readonly connection: ReconnectingLink
  readonly login: LoginFlow
  readonly confirmations: Confirmations
  readonly prekeyPublisher: PrekeyPublisher
  readonly sessions: Sessions
  readonly peers: Peers
  readonly outbox: Outbox
  readonly receipts: Receipts
  readonly inbox: Inbox
  readonly incoming: IncomingQueue
  readonly undecryptableRetries: UndecryptableRetries
  readonly listener: Listener
  readonly listenerLease: ListenerLease
  readonly requests: Requests
  readonly rollbackGuard: RollbackGuard

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
    this.store = new RepairingStore(store, events)
    const context: ClientContext = {
      store: this.store,
      random,
      now,
      policy: { ...defaultPolicy, ...policy },
      events,
      instance: newId(random),
      closing: closing.signal,
      self: () => identity.required,
      loadPeer: (tx, name) => loadPeer(tx, name, identity.required.domain),
      isTaking: () => this.inbox.isTaking,
      mayEncrypt: step => rollbackGuard.isReserved(step),
      link: () => this.connection.link(),
    }
    this.context = context
    this.confirmations = new Confirmations(context)
    this.prekeyPublisher = new PrekeyPublisher(context)
    const rollbackGuard = new RollbackGuard(context, this.prekeyPublisher)
    this.rollbackGuard = rollbackGuard
    this.sessions = new Sessions(context)
    this.peers = new Peers(context)
    this.outbox = new Outbox(context, this.sessions, rollbackGuard)
    this.receipts = new Receipts(context, this.outbox)
    this.inbox = new Inbox(context, this.receipts)
    this.incoming = new IncomingQueue({
      context,
      inbox: this.inbox,
      // Envelopes arrive only after a login, when all parts exist.
      apply: effect => applyEffect(this, effect),
    })
    this.undecryptableRetries = new UndecryptableRetries(context, this.incoming, this.sessions, this.outbox)
    this.listener = new Listener(context, this.incoming, this.prekeyPublisher)
    this.listenerLease = new ListenerLease(context, this.listener)
    const { outbox, inbox, receipts, listenerLease, prekeyPublisher, undecryptableRetries } = this
    this.requests = new Requests({ context, outbox, inbox, receipts, listenerLease })
    this.login = new LoginFlow({
      context,
      identity,
      domain,
      rollbackGuard,
      prekeyPublisher,
      outbox,
      receipts,
      undecryptableRetries,
    })
  }

  /** Publishes a new bundle on the current link or the next one. Reports a failure as an event. */
  async publishNewBundle(): Promise<void> {
    try {
      await this.prekeyPublisher.publish(await this.context.link())
    } catch (error) {
      if (!this.closing.signal.aborted) this.events.emit('failed', { error: asError(error) })
    }
  }
}
