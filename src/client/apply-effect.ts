import type { Emitter } from '../util/emitter.ts'
import type { ClientEvents } from './base/events.ts'
import type { Effect } from './inbox/effects.ts'
import type { Inbox } from './inbox/inbox.ts'
import type { Receipts } from './inbox/receipts.ts'
import type { UndecryptableRetries } from './inbox/retry-undecryptable.ts'
import type { Outbox } from './outbox/outbox.ts'
import type { Requests } from './requests/requests.ts'
import type { Sessions } from './sessions/sessions.ts'

/** The parts of a client that the effects of a processed envelope reach. */
type EffectTargets = {
  events: Emitter<ClientEvents>
  inbox: Inbox
  receipts: Receipts
  requests: Requests
  sessions: Sessions
  outbox: Outbox
  undecryptableRetries: UndecryptableRetries
  publishNewBundle: () => Promise<void>
}

/** Called after the transaction that stored the envelope has committed. */
export function applyEffect(targets: EffectTargets, effect: Effect): void {
  const { events, inbox, receipts, requests, sessions, outbox } = targets
  switch (effect.kind) {
    case 'arrived':
      if (effect.isNew) inbox.stored()
      return receipts.schedule(effect.from)
    case 'answered':
      return requests.answered()
    case 'withdrawn':
      if (effect.removed !== undefined) inbox.removed(effect.removed)
      return requests.withdrawn(effect.from, effect.id)
    case 'event':
      return effect.emit(events)
    case 'flush':
      return outbox.flush(effect.to)
    case 'offer-answered':
      return sessions.answered(effect.offerId)
    case 'offer-declined':
      return sessions.declined(effect.offerId, effect.from)
    case 'repair':
      return void targets.undecryptableRetries.run()
    case 'rotate':
      return void targets.publishNewBundle()
  }
}
