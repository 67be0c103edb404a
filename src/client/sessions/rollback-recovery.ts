import { recoverPrekeys } from '../../crypto/keys/prekeys.ts'
import { dropSessions } from '../../crypto/session/peer.ts'
import type { ClientContext } from '../connection/client-context.ts'
import type { Link } from '../connection/link.ts'
import { requeue } from '../outbox/outbox-queue.ts'
import { loadPrekeys, savePeer, savePrekeys, setOrder } from '../records/crypto-records.ts'
import { keys, nameIn } from '../records/keys.ts'
import type { StateTransaction } from '../state/state-store.ts'
import { oweReset } from './pending-reset.ts'

/**
 * Makes an older copy of a state safe to go on with: what its original may have used since is never used again. Answers how
 * many peers have to be told.
 */
export async function recover(tx: StateTransaction, context: ClientContext, steps: number): Promise<number> {
  setOrder(tx, steps)
  const making = { nowMs: context.now(), random: context.random }
  savePrekeys(tx, recoverPrekeys(await loadPrekeys(tx), making))
  tx.delete(keys.published())
  tx.put(keys.recovering(), new Uint8Array())
  let peers = 0
  for (const [key] of await tx.list(keys.peers())) {
    const name = nameIn(key)
    const peer = await context.loadPeer(tx, name)
    if (peer.sessions.length === 0) continue
    savePeer(tx, name, dropSessions(peer))
    await requeue(tx, name)
    await oweReset(tx, name, 'rollback')
    peers += 1
  }
  return peers
}

/** One-time keys that a node may hold of one user, and some that come meanwhile. */
const maxDrained = 200

/**
 * The original's one-time keys are still at the node, and what is encrypted to them could not be read here: they are fetched, and so used up.
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
