import type { Static } from 'typebox'
import * as Type from 'typebox'
import { type CryptoError, type CryptoErrorCode, IdentityChangedError } from '../../crypto/errors.ts'
import { cryptoLimits } from '../../crypto/limits.ts'
import { decodeMessage } from '../../crypto/messages/message.ts'
import { isWithin, markChanged } from '../../crypto/session/peer.ts'
import type { Username } from '../../protocol/names.ts'
import { encodeBase64Url } from '../../util/bytes.ts'
import type { ClientContext } from '../connection/client-context.ts'
import { nextOrder, savePeer } from '../records/crypto-records.ts'
import { keys } from '../records/keys.ts'
import { oweReset } from '../sessions/pending-reset.ts'
import { recordCodec } from '../state/record-codec.ts'
import type { StateReader, StateTransaction } from '../state/state-store.ts'
import { type Consequence, event } from './effects.ts'
import type { Envelope } from './envelope.ts'

/** A body that could not be read, as it came. */
export const AsideRecord = recordCodec(
  'aside',
  Type.Object({
    frameType: Type.Union([Type.Literal('message'), Type.Literal('key_exchange')]),
    /** base64url */
    body: Type.String(),
    /** Why, as a code of `CryptoError`. */
    code: Type.String(),
    /** Ours, ms since 1970. */
    at: Type.Integer(),
    /** Its place among everything this state has seen. */
    order: Type.Optional(Type.Integer()),
  }),
)
export type AsideRecord = Static<typeof AsideRecord.schema>

/** Bodies set aside that are kept; beyond it the one with the smallest hash goes, which nobody can aim at. */
const maxAside = 200

/** What comes next for a body that was set aside: a reset asks the peer for it, the same bytes are tried again, or nothing can be done here. */
export type Remedy = 'reset' | 'retry' | 'none'

const remedies: Partial<Record<CryptoErrorCode, Remedy>> = {
  undecryptable: 'reset',
  malformed: 'reset',
  prekeys_exhausted: 'reset',
  // Begun before both sides had a better one: over that, the peer sends it again.
  suite_refused: 'reset',
  rate_limited: 'retry',
  identity_changed: 'retry',
}

const remedyFor = (code: string): Remedy => Object.entries(remedies).find(([known]) => known === code)?.[1] ?? 'none'

/** What cannot be read never disappears silently: it is kept, reported, and made good where that is possible. */
export async function setAside(
  tx: StateTransaction,
  context: ClientContext,
  envelope: Envelope,
  error: CryptoError,
): Promise<Consequence[]> {
  const { from, hash, frameType, body } = envelope
  const key = keys.aside(from, hash)
  if (await tx.get(key)) return []
  const kept = await tx.list(keys.asides(), { limit: maxAside })
  const [other] = kept
  if (other && kept.length === maxAside) tx.delete(other[0])
  const { code, message } = error
  const order = await nextOrder(tx)
  tx.put(key, AsideRecord.encode({ frameType, body: encodeBase64Url(body), code, at: context.now(), order }))
  const peer = await context.loadPeer(tx, from)
  const remedy = peer.trust === 'unknown' ? await remedyForStranger(tx, context, envelope, code) : remedyFor(code)
  const told = event('undecryptable', { from, aside: hash, reason: message, remedy })
  if (error instanceof IdentityChangedError) {
    savePeer(tx, from, markChanged(peer, error.seen))
    return [told, event('key-changed', { peer: from })]
  }
  if (remedy === 'reset') await oweReset(tx, from, 'undecryptable')
  const rotate: Consequence[] = code === 'prekeys_exhausted' ? [{ kind: 'rotate' }] : []
  return remedy === 'none' ? [told] : [told, { kind: 'repair' }, ...rotate]
}

/** Resets that people whom we never met may cause in an hour: each costs a bundle and a handshake, and anybody can ask for one. */
const maxStrangers = 10

const Strangers = recordCodec('strangers', Type.Object({ metAt: Type.Array(Type.Integer()) }))

/**
 * A first message may name a one-time key that is gone, through no fault of its sender: a Redis that lost its last writes hands keys out again.
 * Nothing else of somebody unknown makes us start a session.
 */
async function remedyForStranger(
  tx: StateTransaction,
  context: ClientContext,
  { body }: Envelope,
  code: CryptoErrorCode,
): Promise<Remedy> {
  if (code !== 'undecryptable' || decodeMessage(body).type !== 'prekey') return 'none'
  const bytes = await tx.get(keys.strangers())
  const nowMs = context.now()
  const lately = (bytes ? Strangers.decode(bytes).metAt : []).filter(at =>
    isWithin(cryptoLimits.resetIntervalMs, at, nowMs),
  )
  if (lately.length >= maxStrangers) return 'none'
  tx.put(keys.strangers(), Strangers.encode({ metAt: [...lately, nowMs] }))
  return 'reset'
}

const placeOf = ({ order = 0 }: AsideRecord): number => order

export type Aside = { key: string; hash: string; record: AsideRecord }

/** Bodies of a peer that may be read later as they are. */
export async function retriable(tx: StateReader, from: Username): Promise<Aside[]> {
  const entries = await tx.list(keys.asidesOf(from))
  return entries
    .map(([key, bytes]) => ({ key, hash: key.slice(keys.asidesOf(from).length), record: AsideRecord.decode(bytes) }))
    .filter(({ record }) => remedyFor(record.code) === 'retry')
    .sort((a, b) => placeOf(a.record) - placeOf(b.record))
}
