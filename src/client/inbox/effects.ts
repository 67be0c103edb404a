import type { Username } from '../../protocol/names.ts'
import type { Emitter } from '../../util/emitter.ts'
import type { ClientEvents } from '../base/events.ts'

/** What the client does after the transaction that stored an envelope has committed. */
export type Effect =
  /** `isNew` is true if the message went into the inbox, and false for a repeat, a reply or a withdrawal. */
  | { kind: 'arrived'; from: Username; isNew: boolean }
  /** A reply, or a part of one, was stored for its waiting `request`. */
  | { kind: 'answered' }
  /** A peer no longer waits for the reply to its request; `removed` is the key that the request had in the inbox. */
  | { kind: 'withdrawn'; from: Username; id: string; removed: string | undefined }
  | { kind: 'flush'; to: Username }
  | { kind: 'offer-answered'; offerId: Uint8Array }
  | { kind: 'offer-declined'; offerId: Uint8Array; from: Username }
  /** A body was quarantined. The state records whether a retry or a reset may help. */
  | { kind: 'repair' }
  /** The published prekeys are used up: no more sessions can start with them. */
  | { kind: 'rotate' }
  | { kind: 'event'; emit: (events: Emitter<ClientEvents>) => void }

export const event = <Name extends keyof ClientEvents>(name: Name, value: ClientEvents[Name]): Effect => ({
  kind: 'event',
  emit: events => events.emit(name, value),
})
