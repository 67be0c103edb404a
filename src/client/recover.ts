import { dropSessions } from '../crypto/peer.ts'
import { recoverPrekeys } from '../crypto/prekeys.ts'
import type { Username } from '../protocol/names.ts'
import { type Agent, newId } from './agent.ts'
import type { Link } from './link.ts'
import type { Outbox } from './outbox.ts'
import { keys, nameIn } from './record-keys.ts'
import { requeue } from './seal.ts'
import type { Sessions } from './sessions.ts'
import type { StateTransaction } from './state/state-store.ts'
import { loadPeer, loadPrekeys, savePeer, savePrekeys, setOrder } from './vault.ts'

/**
 * Makes an older copy of a state safe to go on with: what its original may have used since is never used again. Answers how
 * many peers have to be told.
 */
export async function recover(tx: StateTransaction, agent: Agent, steps: number): Promise<number> {
  setOrder(tx, steps)
  const making = { nowMs: agent.now(), random: agent.random }
  savePrekeys(tx, recoverPrekeys(await loadPrekeys(tx), making))
  tx.delete(keys.published())
  tx.put(keys.recovering(), new Uint8Array())
  let peers = 0
  for (const [key] of await tx.list(keys.peers())) {
    const name = nameIn(key)
    const peer = await loadPeer(tx, name, agent.self().domain)
    if (peer.sessions.length === 0) continue
    savePeer(tx, name, { ...dropSessions(peer), resetAtMs: null })
    await requeue(tx, name)
    tx.put(keys.stale(name), new Uint8Array())
    peers += 1
  }
  return peers
}

/** One-time keys that a node may hold of one user, and some that come meanwhile. */
const maxDrained = 200

/**
 * The original's one-time keys are still at the node, and what is encrypted to them could not be read here: they are fetched, and so used up.
 */
export async function drainOneTimeKeys(agent: Agent, link: Link): Promise<void> {
  if (!(await agent.store.read(tx => tx.get(keys.recovering())))) return
  for (let fetched = 0; fetched < maxDrained; fetched += 1) {
    const request = { type: 'fetch_keys', id: newId(agent.random), username: agent.self().username } as const
    const { oneTimeKey, oneTimeKemKey } = await link.request(request)
    if (!oneTimeKey && !oneTimeKemKey) break
  }
  await agent.store.transaction(tx => tx.delete(keys.recovering()))
}

/** Starts anew with every peer that an older copy had a session with, one after the other; the rest at the next login. */
export async function resetStale(agent: Agent, sessions: Sessions, outbox: Outbox): Promise<void> {
  let after = keys.stales()
  for (;;) {
    const [entry] = await agent.store.read(tx => tx.list(keys.stales(), { after, limit: 1 }))
    if (!entry) return
    after = entry[0]
    await resetOne(agent, sessions, nameIn(entry[0]))
    outbox.pump(nameIn(entry[0]))
  }
}

async function resetOne(agent: Agent, sessions: Sessions, peer: Username): Promise<void> {
  try {
    await sessions.ensure(peer)
  } catch (error) {
    agent.events.emit('failed', { error: error instanceof Error ? error : new Error(String(error)) })
  }
}
