import { type Peer, resetAllowed } from '../../crypto/session/peer.ts'
import type { Username } from '../../protocol/names.ts'
import { decodeUtf8, encodeUtf8 } from '../../util/bytes.ts'
import { keys } from '../records/keys.ts'
import type { StateReader, StateTransaction } from '../state/state-store.ts'

/** Why a peer has to be told to start anew: something of its could not be read, or this state was an older copy. */
export type Debt = 'undecryptable' | 'rollback'

/**
 * Notes that a peer has to get a reset, in the transaction that gives cause for it: it is sent when that is allowed, by this process
 * or a later one.
 */
export async function oweReset(tx: StateTransaction, peer: Username, debt: Debt): Promise<void> {
  if ((await owedReset(tx, peer)) !== 'rollback') tx.put(keys.pendingReset(peer), encodeUtf8(debt))
}

export async function owedReset(tx: StateReader, peer: Username): Promise<Debt | undefined> {
  const bytes = await tx.get(keys.pendingReset(peer))
  return bytes && (decodeUtf8(bytes) === 'rollback' ? 'rollback' : 'undecryptable')
}

/** The reset that is owed to a peer, if it may be sent now: docs/E2E.md section 7, rule 6, allows one an hour. To a stranger there was none yet. */
export async function dueReset(
  tx: StateReader,
  name: Username,
  { peer, nowMs }: { peer: Peer; nowMs: number },
): Promise<Debt | undefined> {
  return peer.trust === 'unknown' || resetAllowed(peer, nowMs) ? owedReset(tx, name) : undefined
}
