import type { IdentityKey } from './identity-key.ts'

/**
 * Why something was refused. Coarse on purpose: a finer answer would tell whoever forged the bytes how far they came.
 * `undecryptable` covers unknown sessions, used or unknown prekeys, replays and wrong tags alike.
 */
export type CryptoErrorCode =
  /** Not bytes of AIMessage 1. */
  | 'malformed'
  /** A stored record that is damaged. */
  | 'bad_state'
  /** A stored record that another version wrote. */
  | 'bad_version'
  /** A key that is not canonical, of small order, or has torsion. */
  | 'bad_key'
  /** A bundle for another address, with a wrong signature, or older than one seen before. */
  | 'bad_bundle'
  /** A card for another address, with a wrong signature or key, or older than one seen before. */
  | 'bad_card'
  /** No common suite at or above the minimum. */
  | 'suite_refused'
  /** There is no session to send with: fetch the peer's keys and start one. */
  | 'no_session'
  /** The peer's identity key is not the pinned one; nothing is sent until the user decides. */
  | 'identity_changed'
  | 'undecryptable'
  /** Too many handshakes from this peer; the same bytes may be tried again later. */
  | 'rate_limited'
  /** The replay list of the current prekeys is full: rotate them at once. */
  | 'prekeys_exhausted'
  | 'too_large'
  /** An offer that has expired. */
  | 'offer_expired'

const texts: Record<CryptoErrorCode, string> = {
  malformed: 'not a message of AIMessage 1',
  bad_state: 'the stored record is damaged',
  bad_version: 'the stored record is of another version',
  bad_key: 'the key is not acceptable',
  bad_bundle: "the peer's key bundle is not acceptable",
  bad_card: "the peer's card is not acceptable",
  suite_refused: 'no common suite at or above the minimum',
  no_session: 'there is no session with this peer',
  identity_changed: "the peer's identity key has changed",
  undecryptable: 'the message cannot be decrypted',
  rate_limited: 'too many new sessions from this peer',
  prekeys_exhausted: 'the prekeys have to be rotated first',
  too_large: 'the content is too large',
  offer_expired: 'the offer has expired',
}

/** The only error of `crypto/`. It names no key, no id and no cause. */
export class CryptoError extends Error {
  override readonly name: string = 'CryptoError'
  readonly code: CryptoErrorCode

  constructor(code: CryptoErrorCode) {
    super(texts[code])
    this.code = code
  }
}

/** The peer presented another identity key than the pinned one. `seen` is what `markChanged` wants. */
export class IdentityChangedError extends CryptoError {
  override readonly name = 'IdentityChangedError'
  readonly seen: IdentityKey

  constructor(seen: IdentityKey) {
    super('identity_changed')
    this.seen = seen
  }
}
