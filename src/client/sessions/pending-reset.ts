import { type Peer, resetAllowed } from '../../crypto/session/peer.ts'
import type { Username } from '../../protocol/names.ts'
import { encodeUtf8, equalBytes } from '../../util/bytes.ts'
import { keys } from '../records/keys.ts'
import type { StateReader, StateTransaction } from '../state/state-store.ts'

/** Why a peer must get a reset: one of its messages could not be decrypted, or this state was an older copy. */
type PendingReset = 'undecryptable' | 'rollback'

/**
 * Records that a peer must get a reset, in the transaction that found the cause. This process or a later one sends the
 * reset as soon as it is allowed.
 */
export async function requestReset(tx: StateTransaction, peer: Username, reason: PendingReset): Promise<void> {
  if ((await pendingReset(tx, peer)) !== 'rollback') tx.put(keys.pendingReset(peer), encodeUtf8(reason))
}

async function pendingReset(tx: StateReader, peer: Username): Promise<PendingReset | undefined> {
  const bytes = await tx.get(keys.pendingReset(peer))
  return bytes && (equalBytes(bytes, encodeUtf8('rollback')) ? 'rollback' : 'undecryptable')
}

/**
 * Returns the pending reset of a peer if it may be sent now: docs/E2E.md section 7, rule 6, allows one reset an hour. A
 * peer of unknown trust has never got one.
 */
export async function allowedReset(
  tx: StateReader,
  name: Username,
  { peer, nowMs }: { peer: Peer; nowMs: number },
): Promise<PendingReset | undefined> {
  return peer.trust === 'unknown' || resetAllowed(peer, nowMs) ? pendingReset(tx, name) : undefined
}
