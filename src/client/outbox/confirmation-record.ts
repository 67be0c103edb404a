import type { Static } from 'typebox'
import * as Type from 'typebox'
import type { Username } from '../../protocol/names.ts'
import { keys, nameIn } from '../records/keys.ts'
import { recordCodec } from '../state/record-codec.ts'
import type { StateReader, StateTransaction } from '../state/state-store.ts'
import { OutboxRecord } from './outbox-record.ts'
import { Refusal, toRefusal } from './send-result.ts'

export type ReceiptState = 'delivered' | 'read'

const Confirmed = Type.Union([
  Type.Object({ state: Type.Union([Type.Literal('delivered'), Type.Literal('read')]) }),
  /** Why the message was given up. */
  Refusal,
])
export type Confirmed = Static<typeof Confirmed>

/** The final state of a message that we sent, for all processes of this agent. `at`: ms since 1970, local clock. */
export const ConfirmationRecord = recordCodec(
  'confirmation',
  Type.Object({ to: Type.String(), at: Type.Integer(), confirmed: Confirmed }),
)

type Receipt = { ids: readonly string[]; from: Username; state: ReceiptState; nowMs: number }

/** The messages in flight: a receipt for a message further back in the outbox is for a copy that was sent before. */
const maxInFlight = 64

/**
 * Records a receipt. An id counts only if its message was sent to `from`. `read` is never replaced by `delivered`, in
 * whichever order receipts arrive. The work is linear in the number of ids, however long the outbox is.
 * @returns the ids whose state has changed
 */
export async function noteConfirmed(
  tx: StateTransaction,
  { ids, from, state, nowMs }: Receipt,
): Promise<readonly string[]> {
  const changed: string[] = []
  let inFlight: ReadonlySet<string> | undefined
  for (const id of new Set(ids)) {
    const key = keys.confirmed(id)
    const bytes = await tx.get(key)
    const known = bytes && ConfirmationRecord.decode(bytes)
    if (known) {
      if (known.to !== from) continue
      tx.delete(keys.sent(from, id))
      if ('state' in known.confirmed && (known.confirmed.state === 'read' || state === 'delivered')) continue
      if (!('state' in known.confirmed) && state === 'delivered') continue
    } else if (await tx.get(keys.sent(from, id))) tx.delete(keys.sent(from, id))
    else {
      // A receipt may arrive before the node's `accepted`, or while a copy is being sent again.
      inFlight ??= await idsInFlight(tx, from)
      if (!inFlight.has(id)) continue
    }
    tx.put(key, ConfirmationRecord.encode({ to: from, at: nowMs, confirmed: { state } }))
    changed.push(id)
  }
  return changed
}

async function idsInFlight(tx: StateReader, to: Username): Promise<ReadonlySet<string>> {
  const queued = await tx.list(keys.outboxOf(to), { limit: maxInFlight })
  return new Set(queued.map(([, bytes]) => OutboxRecord.decode(bytes).id))
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
