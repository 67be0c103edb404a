import type { Static } from 'typebox'
import * as Type from 'typebox'
import { type CryptoError, IdentityChangedError } from '../../crypto/errors.ts'
import { cryptoLimits } from '../../crypto/limits.ts'
import { decodeMessage } from '../../crypto/messages/message.ts'
import { isWithin, markChanged } from '../../crypto/session/peer.ts'
import type { Username } from '../../protocol/names.ts'
import { encodeBase64Url } from '../../util/bytes.ts'
import { UnreadablePeerError } from '../base/errors.ts'
import type { Remedy } from '../base/events.ts'
import type { ClientContext } from '../connection/client-context.ts'
import { nextOrder, savePeer } from '../records/crypto-records.ts'
import { keys } from '../records/keys.ts'
import { requestReset } from '../sessions/pending-reset.ts'
import { recordCodec } from '../state/record-codec.ts'
import type { StateReader, StateTransaction } from '../state/state-store.ts'
import { type Effect, event } from './effects.ts'
import type { Envelope } from './envelope.ts'

/** A body that could not be decrypted, as it was received. */
export const UndecryptableRecord = recordCodec(
  'aside',
  Type.Object({
    frameType: Type.Union([Type.Literal('message'), Type.Literal('key_exchange')]),
    /** base64url */
    body: Type.String(),
    /** The reason, a code of `CryptoError`. */
    code: Type.String(),
    /** When it was quarantined, ms since 1970 by the local clock. */
    at: Type.Integer(),
    /** The position among all bodies that this state has received. */
    order: Type.Optional(Type.Integer()),
  }),
)
type Reason = CryptoError | UnreadablePeerError
type UndecryptableRecord = Static<typeof UndecryptableRecord.schema>

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
  const remedy = peer.trust === 'unknown' ? await remedyForUnknownPeer(tx, context, envelope, code) : remedyFor(code)
  const reported = event('undecryptable', { from, aside: hash, reason: message, remedy })
  if (error instanceof IdentityChangedError) {
    savePeer(tx, from, markChanged(peer, error.seen))
    return [reported, event('key-changed', { peer: from })]
  }
  if (remedy === 'reset') await requestReset(tx, from, 'undecryptable')
  const rotate: Effect[] = code === 'prekeys_exhausted' ? [{ kind: 'rotate' }] : []
  return remedy === 'none' ? [reported] : [reported, { kind: 'repair' }, ...rotate]
}

/**
 * The number of resets per hour for peers of unknown trust, all together. Each costs a bundle and a handshake, and
 * anyone can cause one.
 */
const maxUnknownResets = 10

export const UnknownResets = recordCodec('strangers', Type.Object({ metAt: Type.Array(Type.Integer()) }))

/**
 * A first message may name a one-time key that is already used, through no fault of its sender: a Redis that has lost
 * its last writes serves keys a second time. No other message of an unknown peer makes this client start a session.
 */
async function remedyForUnknownPeer(
  tx: StateTransaction,
  context: ClientContext,
  { body }: Envelope,
  code: string,
): Promise<Remedy> {
  if (code !== 'undecryptable' || decodeMessage(body).type !== 'prekey') return 'none'
  const bytes = await tx.get(keys.strangerResets())
  const nowMs = context.now()
  const lately = (bytes ? UnknownResets.decode(bytes).metAt : []).filter(at =>
    isWithin(cryptoLimits.resetIntervalMs, at, nowMs),
  )
  if (lately.length >= maxUnknownResets) return 'none'
  tx.put(keys.strangerResets(), UnknownResets.encode({ metAt: [...lately, nowMs] }))
  return 'reset'
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
