import { cryptoLimits } from '../../crypto/limits.ts'
import { offeredSuites } from '../../crypto/policy.ts'
import { isWithin, needsRenewal, type Peer } from '../../crypto/session/peer.ts'
import type { Username } from '../../protocol/names.ts'
import type { ClientContext } from '../connection/client-context.ts'
import { decodeInteger, encodeInteger } from '../records/integer-record.ts'
import { keys } from '../records/keys.ts'
import type { StateTransaction } from '../state/state-store.ts'

/** How often a peer's bundle is looked at for a better suite, ms: each look takes keys of the peer's, as a renewal would (docs/E2E.md section 7, rule 7). */
const lookIntervalMs = cryptoLimits.resetIntervalMs

/**
 * Whether it is time to ask for a peer's bundle and, unless that says otherwise, to renew: where the session has served, and, now and then, where
 * we know a better suite than it has. A session on our best suite costs no look at all.
 */
export async function isWorn(
  tx: StateTransaction,
  { now, policy }: Pick<ClientContext, 'now' | 'policy'>,
  name: Username,
  peer: Peer,
): Promise<boolean> {
  const nowMs = now()
  if (needsRenewal(peer, nowMs)) return true
  if (!needsRenewal(peer, nowMs, offeredSuites(policy), policy)) return false
  const lookedAt = await tx.get(keys.looked(name))
  if (lookedAt && isWithin(lookIntervalMs, decodeInteger(lookedAt), nowMs)) return false
  tx.put(keys.looked(name), encodeInteger(nowMs))
  return true
}
