import * as Type from 'typebox'
import type { Username } from '../../protocol/names.ts'
import type { ClientContext } from '../connection/client-context.ts'
import { keys } from '../records/keys.ts'
import { recordCodec } from '../state/record-codec.ts'
import type { StateTransaction } from '../state/state-store.ts'

export const OutboxLeaseRecord = recordCodec(
  'pump lease',
  Type.Object({ instance: Type.String(), until: Type.Integer() }),
)

/**
 * The lifetime of a lease, ms. Two processes that send at once cost only repeats, which the node recognises by their
 * ids; the lease of a process that has died delays the peer's mail for this long.
 */
const leaseMs = 1_000

/**
 * Acquires or renews the lease on a peer's outbox, so that several processes do not send the same messages. Releases
 * the lease if the outbox is empty.
 * @returns the expiry (ms since 1970) if another process holds the lease, otherwise undefined
 */
export async function acquireOutbox(
  tx: StateTransaction,
  { instance, now }: ClientContext,
  peer: Username,
  { isEmpty }: { isEmpty: boolean },
): Promise<number | undefined> {
  const bytes = await tx.get(keys.outboxLease(peer))
  const held = bytes && OutboxLeaseRecord.decode(bytes)
  const nowMs = now()
  const isForeign =
    held !== undefined && held.instance !== instance && held.until > nowMs && held.until <= nowMs + leaseMs
  if (isForeign) return isEmpty ? undefined : held.until
  if (!isEmpty) tx.put(keys.outboxLease(peer), OutboxLeaseRecord.encode({ instance, until: nowMs + leaseMs }))
  else if (held) tx.delete(keys.outboxLease(peer))
  return undefined
}

/** Releases this process's lease before it expires, so that other processes need not wait for it. */
export async function releaseOutbox(tx: StateTransaction, { instance }: ClientContext, peer: Username): Promise<void> {
  const bytes = await tx.get(keys.outboxLease(peer))
  if (bytes && OutboxLeaseRecord.decode(bytes).instance === instance) tx.delete(keys.outboxLease(peer))
}
