import type { Static } from 'typebox'
import * as Type from 'typebox'
import type { Username } from '../../protocol/names.ts'
import { keys } from '../records/keys.ts'
import { recordCodec } from '../state/record-codec.ts'
import type { StateReader, StateTransaction } from '../state/state-store.ts'
import { OutboxRecord } from './outbox-record.ts'
import { toOutcome } from './send-result.ts'

export type ReceiptState = 'delivered' | 'read'

const Confirmed = Type.Union([
  Type.Object({ state: Type.Union([Type.Literal('delivered'), Type.Literal('read')]) }),
  /** It was given up, and why. */
  Type.Object({ code: Type.String(), message: Type.String() }),
])
export type Confirmed = Static<typeof Confirmed>

/** How a message of ours ended, for whoever waits for it in any process of this agent. `at`: ms since 1970, by our own clock. */
export const ConfirmationRecord = recordCodec(
  'confirmation',
  Type.Object({ to: Type.String(), at: Type.Integer(), confirmed: Confirmed }),
)

type Receipt = { id: string; from: Username; state: ReceiptState; nowMs: number }

/**
 * Notes a receipt, before the message is forgotten. What was read stays so, in whatever order receipts come; and who was not sent a message
 * has nothing to say about it.
 */
export async function noteConfirmed(tx: StateTransaction, { id, from, state, nowMs }: Receipt): Promise<void> {
  const key = keys.confirmed(id)
  const bytes = await tx.get(key)
  const isExpected = bytes ? ConfirmationRecord.decode(bytes).to === from : await isSentTo(tx, from, id)
  if (!isExpected || (bytes && state === 'delivered')) return
  tx.put(key, ConfirmationRecord.encode({ to: from, at: nowMs, confirmed: { state } }))
}

/** A receipt may overtake what says that a node has accepted the message, and a copy that goes out again. */
async function isSentTo(tx: StateReader, to: Username, id: string): Promise<boolean> {
  if (await tx.get(keys.sent(to, id))) return true
  const queued = await tx.list(keys.outboxOf(to))
  return queued.some(([, bytes]) => OutboxRecord.decode(bytes).id === id)
}

type GivenUp = { id: string; to: Username; error: Error; nowMs: number }

/** Notes that nobody will confirm a message. */
export function noteGivenUp(tx: StateTransaction, { id, to, error, nowMs }: GivenUp): void {
  tx.put(keys.confirmed(id), ConfirmationRecord.encode({ to, at: nowMs, confirmed: toOutcome(error) }))
}
