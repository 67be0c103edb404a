import { recoverPrekeys } from '../../crypto/keys/prekeys.ts'
import { dropSessions, type Peer } from '../../crypto/session/peer.ts'
import type { Username } from '../../protocol/names.ts'
import { UnreadablePeerError } from '../base/errors.ts'
import type { ClientContext } from '../connection/client-context.ts'
import type { Link } from '../connection/link.ts'
import { requeue } from '../outbox/outbox-queue.ts'
import { loadPrekeys, savePeer, savePrekeys, setOrder } from '../records/crypto-records.ts'
import { keys, nameIn } from '../records/keys.ts'
import type { StateReader, StateTransaction } from '../state/state-store.ts'
import { requestReset } from './pending-reset.ts'

/**
 * Makes an older copy of a state safe to use: keys and sessions that the original may have used since are never used
 * again.
 * @param steps the number of steps that the node has recorded for the original
 * @returns the number of peers that get a reset
 */
export async function recoverFromRollback(
  tx: StateTransaction,
  context: ClientContext,
  steps: number,
): Promise<number> {
  setOrder(tx, steps)
  const making = { nowMs: context.now(), random: context.random }
  savePrekeys(tx, recoverPrekeys(await loadPrekeys(tx), making))
  tx.delete(keys.published())
  tx.put(keys.recovering(), new Uint8Array())
  let peers = 0
  for (const [key] of await tx.list(keys.peers())) {
    const name = nameIn(key)
    const peer = await readablePeer(tx, context, name)
    if (!peer || peer.sessions.length === 0) continue
    savePeer(tx, name, dropSessions(peer))
    await requeue(tx, name)
    await requestReset(tx, name, 'rollback')
    peers += 1
  }
  return peers
}

/** A damaged record holds no session that could be used again. */
async function readablePeer(tx: StateReader, context: ClientContext, name: Username): Promise<Peer | undefined> {
  try {
    return await context.loadPeer(tx, name)
  } catch (error) {
    if (error instanceof UnreadablePeerError) return undefined
    throw error
  }
}

/** At least the number of one-time keys that a node keeps for one user, with room for uploads during the loop. */
const maxDrained = 200

/**
 * Fetches this agent's own one-time keys from the node until none is left. They belong to the original state: messages
 * encrypted to them could not be decrypted here.
 */
export async function drainOneTimeKeys(context: ClientContext, link: Link): Promise<void> {
  if (!(await context.store.read(tx => tx.get(keys.recovering())))) return
  for (let fetched = 0; fetched < maxDrained; fetched += 1) {
    const request = { type: 'fetch_keys', username: context.self().username } as const
    const { oneTimeKey, oneTimeKemKey } = await link.request(request)
    if (!oneTimeKey && !oneTimeKemKey) break
  }
  await context.store.transaction(tx => tx.delete(keys.recovering()))
}
