import { type KeyCounts, type Prekeys, recoverPrekeys } from '../../crypto/keys/prekeys.ts'
import { dropSessions, type Peer } from '../../crypto/session/peer.ts'
import type { ServerFrameOf } from '../../protocol/frames.ts'
import { limits } from '../../protocol/limits.ts'
import type { Username } from '../../protocol/names.ts'
import { sleep } from '../../util/signal.ts'
import { ServerFaultError, UnreadablePeerError } from '../base/errors.ts'
import type { ClientContext } from '../connection/client-context.ts'
import type { Link } from '../connection/link.ts'
import { requeue } from '../outbox/outbox-queue.ts'
import { loadPrekeys, savePeer, savePrekeys, setOrder } from '../records/crypto-records.ts'
import { encodeInteger } from '../records/integer-record.ts'
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
  tx.put(keys.restored(), encodeInteger(making.nowMs))
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

/** At least the keys that a node holds for one user, twice: dead ones, and new ones behind them. */
const maxDrained = 400
/** The delay after a fetch that the node's limit left without one-time keys, ms. */
const limitedMs = limits.fetchWindowMs / 20

/**
 * Uses up the one-time keys of the original state at a node of an earlier version, which cannot replace a pool: fetches
 * this agent's own keys until the node serves none but keys that this state holds. A pool is a queue, so the dead keys
 * come first. The node gives a few keys a minute to each requester.
 */
export async function drainOneTimeKeys(
  context: ClientContext,
  link: Link,
  refill: (counts: KeyCounts) => Promise<void>,
): Promise<void> {
  const { store, self } = context
  if (!(await store.read(tx => tx.get(keys.recovering())))) return
  let drained = 0
  while (drained < maxDrained) {
    const served = await link.request({ type: 'fetch_keys', username: self().username })
    const state = await store.read(async tx => stateOf(await loadPrekeys(tx), served))
    if (state === 'live') break
    if (state === 'dead') drained += 1
    else if (await isEmpty(link)) break
    else await sleep(limitedMs, context.closing)
  }
  if (drained === maxDrained) throw new ServerFaultError('the server serves one-time keys that were used up')
  await store.transaction(tx => tx.delete(keys.recovering()))
  await refill(await countKeys(link))
}

/** Whether the node serves keys of which this state has no private part, only keys that it has, or none. */
function stateOf(
  { oneTimeKeys, oneTimeKemKeys }: Prekeys,
  served: Pick<ServerFrameOf<'keys'>, 'oneTimeKey' | 'oneTimeKemKey'>,
): 'dead' | 'live' | 'none' {
  const isDead = (pool: readonly { id: number }[], key: { id: number } | undefined) =>
    key !== undefined && !pool.some(({ id }) => id === key.id)
  if (isDead(oneTimeKeys, served.oneTimeKey) || isDead(oneTimeKemKeys, served.oneTimeKemKey)) return 'dead'
  return served.oneTimeKey || served.oneTimeKemKey ? 'live' : 'none'
}

const countKeys = (link: Link): Promise<KeyCounts> => link.request({ type: 'publish_keys' })

async function isEmpty(link: Link): Promise<boolean> {
  const { oneTimeKeys, oneTimeKemKeys } = await countKeys(link)
  return oneTimeKeys + oneTimeKemKeys === 0
}
