import type { Static } from 'typebox'
import * as Type from 'typebox'
import type { Username } from '../../protocol/names.ts'
import { keys, nameIn } from '../records/keys.ts'
import { recordCodec } from '../state/record-codec.ts'
import type { StateReader, StateTransaction } from '../state/state-store.ts'
import { OutboxRecord } from './outbox-record.ts'
import { toRefusal } from './send-result.ts'

export type ReceiptState = 'delivered' | 'read'

const Confirmed = Type.Union([
  Type.Object({ state: Type.Union([Type.Literal('delivered'), Type.Literal('read')]) }),
  /** Why the message was given up. */
  Type.Object({ code: Type.String(), message: Type.String() }),
])
export type Confirmed = Static<typeof Confirmed>

/** The final state of a message that we sent, for all processes of this agent. `at`: ms since 1970, local clock. */
export const ConfirmationRecord = recordCodec(
  'confirmation',
  Type.Object({ to: Type.String(), at: Type.Integer(), confirmed: Confirmed }),
)

type Receipt = { id: string; from: Username; state: ReceiptState; nowMs: number }

/**
 * Records a receipt. Must be called before the record of the sent message is deleted: a receipt counts only if it comes
 * from the recipient of the message. `read` is never replaced by `delivered`, in whichever order receipts arrive.
 */
export async function noteConfirmed(tx: StateTransaction, { id, from, state, nowMs }: Receipt): Promise<void> {
  const key = keys.confirmed(id)
  const bytes = await tx.get(key)
  const isExpected = bytes ? ConfirmationRecord.decode(bytes).to === from : await isSentTo(tx, from, id)
  if (!isExpected || (bytes && state === 'delivered')) return
  tx.put(key, ConfirmationRecord.encode({ to: from, at: nowMs, confirmed: { state } }))
}

/** Checks the outbox too: a receipt may arrive before the node's `accepted`, or while a copy is being sent again. */
async function isSentTo(tx: StateReader, to: Username, id: string): Promise<boolean> {
  if (await tx.get(keys.sent(to, id))) return true
  const queued = await tx.list(keys.outboxOf(to))
  return queued.some(([, bytes]) => OutboxRecord.decode(bytes).id === id)
}

/** Records that the copy of a sent message, `sent/NAME/ID`, is damaged: a reset of the peer cannot bring it again. */
export async function noteUnreadable(tx: StateTransaction, key: string): Promise<void> {
  const id = key.split('/')[2] ?? ''
  if (await tx.get(keys.confirmed(id))) return
  const confirmed = { code: 'unreadable', message: 'the copy of this message is damaged: it is not sent again' }
  // The cleanup removes it with the next run, because the time is unknown here.
  tx.put(keys.confirmed(id), ConfirmationRecord.encode({ to: nameIn(key), at: 0, confirmed }))
}

type GivenUp = { id: string; to: Username; error: Error; nowMs: number }

/** Records that the message was given up: no receipt will come. */
export function noteGivenUp(tx: StateTransaction, { id, to, error, nowMs }: GivenUp): void {
  tx.put(keys.confirmed(id), ConfirmationRecord.encode({ to, at: nowMs, confirmed: toRefusal(error) }))
}
