import { cryptoLimits } from '../../crypto/limits.ts'
import { offeredSuites } from '../../crypto/policy.ts'
import { isWithin, needsRenewal, type Peer } from '../../crypto/session/peer.ts'
import type { Username } from '../../protocol/names.ts'
import type { ClientContext } from '../connection/client-context.ts'
import { decodeInteger, encodeInteger } from '../records/integer-record.ts'
import { keys } from '../records/keys.ts'
import type { StateTransaction } from '../state/state-store.ts'

/**
 * How often a peer's bundle is checked for a better suite, ms. Each check uses up one-time keys of the peer, as a
 * renewal does (docs/E2E.md section 7, rule 7).
 */
const checkIntervalMs = cryptoLimits.resetIntervalMs

/**
 * Returns true if the session should be renewed: it is old, or we support a better suite and have not checked the
 * peer's bundle in the last hour. In that second case the bundle decides. A session on our best suite costs no check.
 */
export async function isRenewalDue(
  tx: StateTransaction,
  { now, policy }: Pick<ClientContext, 'now' | 'policy'>,
  name: Username,
  peer: Peer,
): Promise<boolean> {
  const nowMs = now()
  if (needsRenewal(peer, nowMs)) return true
  if (!needsRenewal(peer, nowMs, offeredSuites(policy), policy)) return false
  const checkedAt = await tx.get(keys.suiteChecked(name))
  if (checkedAt && isWithin(checkIntervalMs, decodeInteger(checkedAt), nowMs)) return false
  tx.put(keys.suiteChecked(name), encodeInteger(nowMs))
  return true
}
