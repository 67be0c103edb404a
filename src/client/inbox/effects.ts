import type { Username } from '../../protocol/names.ts'
import type { Emitter } from '../../util/emitter.ts'
import type { ClientEvents } from '../base/events.ts'

/** What is left to do once an envelope is on disk. */
export type Consequence =
  | { kind: 'arrived'; from: Username; isNew: boolean }
  /** A reply, or a part of one, for whoever waits for it. */
  | { kind: 'answered' }
  /** A peer no longer waits for the answer to its request; `removed` is where that stood in the inbox. */
  | { kind: 'withdrawn'; from: Username; id: string; removed: string | undefined }
  | { kind: 'pump'; to: Username }
  | { kind: 'offer-answered'; offerId: Uint8Array }
  | { kind: 'offer-declined'; offerId: Uint8Array; from: Username }
  /** Something was set aside: what can be done about it is noted in the state. */
  | { kind: 'repair' }
  /** The published prekeys can take no more sessions. */
  | { kind: 'rotate' }
  | { kind: 'event'; emit: (events: Emitter<ClientEvents>) => void }

export const event = <Name extends keyof ClientEvents>(name: Name, value: ClientEvents[Name]): Consequence => ({
  kind: 'event',
  emit: events => events.emit(name, value),
})
