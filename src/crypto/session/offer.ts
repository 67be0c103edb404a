import { concatBytes, encodeUtf8, equalBytes } from '../../util/bytes.ts'
import { vec8 } from '../encoding/byte-writer.ts'
import { compareBytes } from '../encoding/compare-bytes.ts'
import { CryptoError } from '../errors.ts'
import { decodeBundle } from '../keys/bundle.ts'
import { type Self, sign, verifySigned } from '../keys/identity.ts'
import {
  checkIds,
  encodeCurrentBundle,
  type PendingOffer,
  type Prekeys,
  publicKemKey,
  publicOneTimeKey,
} from '../keys/prekeys.ts'
import { labels } from '../labels.ts'
import { cryptoLimits } from '../limits.ts'
import { encodeOffer, encodeOfferFields, type OfferMessage } from '../messages/message.ts'
import type { Policy } from '../policy.ts'
import type { Random, Verify } from '../provider.ts'
import { hasSession, type Peer } from './peer.ts'
import { startSession } from './start-session.ts'

/** The interactive exchange (docs/E2E.md section 12): `key_exchange` frames carry an offer and its answer. */

type MakeOfferOptions = {
  readonly self: Self
  /** The recipient's address. An answer from any other address is refused. */
  readonly to: string
  readonly policy?: Policy
  readonly nowMs: number
  readonly random: Random
  readonly lifetimeMs: number
}

/** @throws {CryptoError} `rate_limited` if too many offers wait for an answer. */
function addOffer(prekeys: Prekeys, { to, nowMs, random, lifetimeMs }: MakeOfferOptions) {
  const live = prekeys.offers.filter(({ expiresAtMs }) => expiresAtMs > nowMs)
  if (live.length >= cryptoLimits.maxOffers) throw new CryptoError('rate_limited')
  const { nextId } = prekeys
  checkIds(nextId, 2)
  const offer: PendingOffer = {
    offerId: random(16),
    to,
    expiresAtMs: nowMs + lifetimeMs,
    oneTimeKey: { id: nextId, privateKey: random(32) },
    oneTimeKemKey: { id: nextId + 1, seed: random(64) },
  }
  return { offer, prekeys: { ...prekeys, nextId: nextId + 2, offers: [...live, offer] } }
}

type OfferFields = Parameters<typeof encodeOfferFields>[0]

/** The message that an offer's signature covers: `from` and `to` are addresses. */
const signedFields = (from: string, to: string, fields: OfferFields): Uint8Array =>
  concatBytes(vec8(encodeUtf8(from)), vec8(encodeUtf8(to)), encodeOfferFields(fields))

/** Makes an offer with new one-use keys. Save `prekeys` before sending `body`. */
export function makeOffer(
  prekeys: Prekeys,
  options: MakeOfferOptions,
): { prekeys: Prekeys; offerId: Uint8Array; body: Uint8Array } {
  const { self, nowMs, policy } = options
  const { offer, prekeys: next } = addOffer(prekeys, options)
  const { offerId, expiresAtMs, oneTimeKey, oneTimeKemKey } = offer
  const served = {
    bundle: encodeCurrentBundle(next, self, nowMs, policy),
    oneTimeKey: publicOneTimeKey(oneTimeKey),
    oneTimeKemKey: publicKemKey(self.identity, oneTimeKemKey),
  }
  const fields = { offerId, expiresAtS: Math.floor(expiresAtMs / 1000), served }
  const signature = sign(self.identity, labels.offer, signedFields(self.address, options.to, fields))
  return { prekeys: next, offerId, body: encodeOffer({ ...fields, signature }) }
}

/** Removes an offer that has expired or that the peer declined. Ignores unknown ids. */
export const dropOffer = (prekeys: Prekeys, offerId: Uint8Array): Prekeys => ({
  ...prekeys,
  offers: prekeys.offers.filter(offer => !equalBytes(offer.offerId, offerId)),
})

/** Finds the offer that a message of type 04 declines, if it is ours and was sent to `from`. */
export const findOffer = ({ offers }: Prekeys, offerId: Uint8Array, from: string): PendingOffer | undefined =>
  offers.find(offer => offer.to === from && equalBytes(offer.offerId, offerId))

type AcceptOfferOptions = {
  readonly self: Self
  readonly prekeys: Prekeys
  readonly policy?: Policy
  readonly nowMs: number
  readonly random: Random
  readonly verify?: Verify
}
type Acceptance =
  /**
   * Encrypt a content now on the session that `peer` has as the active one, and send it in a `key_exchange` frame. Then
   * call `awaitAnswer`.
   */
  | { readonly outcome: 'answer'; readonly peer: Peer; readonly sid: Uint8Array }
  /** Our own offer crossed this one, and the peer answers ours (rule 9). */
  | { readonly outcome: 'wait' }

/**
 * A node knows everything in an offer but the signature. An unsigned offer, which earlier versions send, starts a
 * session only where there is none: there a node chooses the keys anyway, because it serves the bundle.
 */
function checkSignature(peer: Peer, offer: OfferMessage, { self, nowMs, verify }: AcceptOfferOptions): void {
  const { served, signature } = offer
  if (!served.oneTimeKey || !served.oneTimeKemKey) throw new CryptoError('bad_offer')
  if (!signature) {
    if (hasSession(peer, nowMs)) throw new CryptoError('bad_offer')
    return
  }
  const { identity } = decodeBundle(served.bundle, verify)
  const message = signedFields(peer.address, self.address, offer)
  if (!verifySigned(identity, labels.offer, message, signature, verify)) throw new CryptoError('bad_offer')
}

/**
 * Starts a session from a peer's offer, unless our own offer crossed it and the peer's identity key is smaller.
 * @throws {CryptoError} the codes of `startSession`, `bad_offer` and `offer_expired`.
 */
export function acceptOffer(peer: Peer, offer: OfferMessage, options: AcceptOfferOptions): Acceptance {
  const { self, prekeys, nowMs, verify } = options
  if (offer.expiresAtS * 1000 <= nowMs) throw new CryptoError('offer_expired')
  checkSignature(peer, offer, options)
  const { identity } = decodeBundle(offer.served.bundle, verify)
  const crossed = prekeys.offers.some(({ to, expiresAtMs }) => to === peer.address && expiresAtMs > nowMs)
  if (crossed && compareBytes(self.identity.publicKey, identity) > 0) return { outcome: 'wait' }
  return { outcome: 'answer', ...startSession(peer, { ...options, served: offer.served }) }
}

/**
 * The state to save after the answer to an offer was encrypted: the session of the offer becomes active when the peer
 * has answered on it. Until then messages go on the session of `before`, if there is one.
 */
export const awaitAnswer = (before: Peer, peer: Peer, nowMs: number): Peer =>
  hasSession(before, nowMs) ? { ...peer, active: before.active } : peer
