import * as Type from 'typebox'
import type { Username } from '../../protocol/names.ts'
import type { ClientContext } from '../connection/client-context.ts'
import { keys } from '../records/keys.ts'
import { recordCodec } from '../state/record-codec.ts'
import type { StateTransaction } from '../state/state-store.ts'

const Lease = recordCodec('pump lease', Type.Object({ instance: Type.String(), until: Type.Integer() }))

/**
 * How long one process goes on sending to a peer without being heard of, ms. A lease that is judged wrongly costs only
 * repeats, which the node recognises by their ids; one that outlives its process holds the peer's mail up.
 */
const leaseMs = 1_000

/**
 * Takes, renews or (without work) gives back the lease on a peer's outbox, so that several processes do not send the same
 * things. Answers until when another process has it.
 */
export async function holdPump(
  tx: StateTransaction,
  { instance, now }: ClientContext,
  peer: Username,
  work: boolean,
): Promise<number | undefined> {
  const bytes = await tx.get(keys.pump(peer))
  const held = bytes && Lease.decode(bytes)
  const nowMs = now()
  const foreign =
    held !== undefined && held.instance !== instance && held.until > nowMs && held.until <= nowMs + leaseMs
  if (foreign) return work ? held.until : undefined
  if (work) tx.put(keys.pump(peer), Lease.encode({ instance, until: nowMs + leaseMs }))
  else if (held) tx.delete(keys.pump(peer))
  return undefined
}

/** Gives the lease back before its time, so that nobody waits for a process that has ended. */
export async function releasePump(tx: StateTransaction, { instance }: ClientContext, peer: Username): Promise<void> {
  const bytes = await tx.get(keys.pump(peer))
  if (bytes && Lease.decode(bytes).instance === instance) tx.delete(keys.pump(peer))
}
