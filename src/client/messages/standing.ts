import type { Peer } from '../../crypto/session/peer.ts'
import { parseUsername } from '../../protocol/names.ts'
import { encodeBase64Url } from '../../util/bytes.ts'
import { type ClientContext, readPeer } from '../connection/client-context.ts'
import type { StateReader } from '../state/state-store.ts'
import type { InboxRecord } from './message.ts'

/** Whether a stored message may be shown, and with which trust. `undecided` and `rejected` messages are withheld. */
export type Standing = 'verified' | 'first-use' | 'undecided' | 'rejected'

/** Returns true if a message may be shown. */
export const isShown = (standing: Standing): standing is 'verified' | 'first-use' =>
  standing === 'verified' || standing === 'first-use'

/** Reads the peer of a stored message. A damaged record counts as a changed key: the user decides about both. */
export async function readStanding(
  tx: StateReader,
  context: Pick<ClientContext, 'loadPeer'>,
  record: InboxRecord,
): Promise<Standing> {
  const peer = await readPeer(tx, context, parseUsername(record.from))
  return peer ? standingOf(record, peer) : 'undecided'
}

/**
 * Compares the key that a message came under with the key that is pinned now. A message without a key was stored by an
 * older release: it is shown, and never as `verified`.
 */
function standingOf({ identity }: InboxRecord, peer: Peer): Standing {
  if (peer.trust === 'changed') return 'undecided'
  if (peer.trust === 'unknown' || identity === undefined) return 'first-use'
  return identity === encodeBase64Url(peer.identity) ? peer.trust : 'rejected'
}
