import { type CryptoError, IdentityChangedError } from '../../crypto/errors.ts'
import { decodeMessage } from '../../crypto/messages/message.ts'
import { markChanged } from '../../crypto/session/peer.ts'
import type { Username } from '../../protocol/names.ts'
import { encodeBase64Url } from '../../util/bytes.ts'
import { UnreadablePeerError } from '../base/errors.ts'
import type { Remedy } from '../base/events.ts'
import type { ClientContext } from '../connection/client-context.ts'
import { nextOrder, savePeer } from '../records/crypto-records.ts'
import { keys } from '../records/keys.ts'
import { UndecryptableRecord } from '../records/undecryptable-record.ts'
import { requestReset } from '../sessions/pending-reset.ts'
import type { StateReader, StateTransaction } from '../state/state-store.ts'
import { type Effect, event } from './effects.ts'
import type { Envelope } from './envelope.ts'

type Reason = CryptoError | UnreadablePeerError

/** The number of bodies kept. Beyond it the first in key order (peer, then hash) is evicted. */
const maxKept = 200

const remedies: Partial<Record<Reason['code'], Remedy>> = {
  undecryptable: 'reset',
  malformed: 'reset',
  prekeys_exhausted: 'reset',
  // The session is older than the better suite that both sides have now: after a reset the peer resends on that suite.
  suite_refused: 'reset',
  rate_limited: 'retry',
  identity_changed: 'retry',
  // The user decides about the damaged record of the peer.
  peer_unreadable: 'retry',
}

const remedyFor = (code: string): Remedy => Object.entries(remedies).find(([known]) => known === code)?.[1] ?? 'none'

/**
 * Keeps and reports a body that cannot be decrypted, and records in the state what may help. No body is lost silently.
 */
export async function quarantine(
  tx: StateTransaction,
  context: ClientContext,
  envelope: Envelope,
  error: Reason,
): Promise<Effect[]> {
  const { from, hash, frameType, body } = envelope
  const key = keys.undecryptable(from, hash)
  if (await tx.get(key)) return []
  const kept = await tx.list(keys.undecryptables(), { limit: maxKept })
  const [other] = kept
  if (other && kept.length === maxKept) tx.delete(other[0])
  const { code, message } = error
  const order = await nextOrder(tx)
  tx.put(key, UndecryptableRecord.encode({ frameType, body: encodeBase64Url(body), code, at: context.now(), order }))
  if (error instanceof UnreadablePeerError) {
    return [event('undecryptable', { from, aside: hash, reason: message, remedy: remedyFor(code) })]
  }
  const peer = await context.loadPeer(tx, from)
  const remedy = peer.trust === 'unknown' ? await remedyForUnknownPeer(tx, envelope, code) : remedyFor(code)
  const reported = event('undecryptable', { from, aside: hash, reason: message, remedy })
  if (error instanceof IdentityChangedError) {
    savePeer(tx, from, markChanged(peer, error.seen))
    return [reported, event('key-changed', { peer: from })]
  }
  if (remedy === 'reset' && peer.trust !== 'unknown') await requestReset(tx, from, 'undecryptable')
  const rotate: Effect[] = code === 'prekeys_exhausted' ? [{ kind: 'rotate' }] : []
  return remedy === 'none' ? [reported] : [reported, { kind: 'repair' }, ...rotate]
}

/**
 * A first message may name a one-time key that is gone, and a message may belong to a session that is gone: this state
 * or a Redis was restored from an older copy. Neither is the fault of its sender, which thinks that it was received.
 */
function mayReset({ body }: Envelope, code: string): boolean {
  if (code !== 'undecryptable' && code !== 'prekeys_exhausted') return false
  const { type } = decodeMessage(body)
  return type === 'prekey' || type === 'ratchet'
}

async function remedyForUnknownPeer(tx: StateTransaction, envelope: Envelope, code: string): Promise<Remedy> {
  if (!mayReset(envelope, code)) return 'none'
  return (await requestReset(tx, envelope.from, 'undecryptable', { isStranger: true })) ? 'reset' : 'none'
}

const orderOf = ({ order = 0 }: UndecryptableRecord): number => order

type Quarantined = { key: string; hash: string; record: UndecryptableRecord }

/** Returns the quarantined bodies of a peer that may be decrypted later without a reset, in order. */
export async function retriable(tx: StateReader, from: Username): Promise<Quarantined[]> {
  const entries = await tx.list(keys.undecryptableOf(from))
  return entries
    .map(([key, bytes]) => ({
      key,
      hash: key.slice(keys.undecryptableOf(from).length),
      record: UndecryptableRecord.decode(bytes),
    }))
    .filter(({ record }) => remedyFor(record.code) === 'retry')
    .sort((a, b) => orderOf(a.record) - orderOf(b.record))
}
