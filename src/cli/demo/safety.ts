import { loadPeer } from '../../client/records/crypto-records.ts'
import { checkIdentityKey } from '../../crypto/keys/identity.ts'
import { type Party, safetyNumber } from '../../crypto/keys/safety-number.ts'
import { identityOf } from '../../crypto/session/peer.ts'
import { decodeBase64Url } from '../../util/bytes.ts'
import type { DemoAgent } from './demo-node.ts'

/** The safety number as each of two agents computes it: from its own key, and the one it has pinned for the other. */
export async function bothNumbers(one: DemoAgent, other: DemoAgent): Promise<[string, string]> {
  return [
    safetyNumber(ownParty(one), await pinnedParty(one, other)),
    safetyNumber(ownParty(other), await pinnedParty(other, one)),
  ]
}

function accountOf({ client }: DemoAgent) {
  if (!client.account) throw new Error('an agent of the demonstration has no account')
  return client.account
}

function ownParty(agent: DemoAgent): Party {
  const { identity, address } = accountOf(agent)
  return { identity: checkIdentityKey(decodeBase64Url(identity)), address }
}

/** What `holder` has met `peer` with. */
async function pinnedParty(holder: DemoAgent, peer: DemoAgent): Promise<Party> {
  const { username, domain, address } = accountOf(peer)
  const identity = identityOf(await holder.store.read(tx => loadPeer(tx, username, domain)))
  if (!identity) throw new Error('two agents of the demonstration have not met')
  return { identity, address }
}
