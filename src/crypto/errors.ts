import type { IdentityKey } from './identity-key.ts'

/**
 * The reason for a refusal. It is coarse on purpose: a finer reason would tell a forger which check failed.
 * `undecryptable` covers unknown sessions, used or unknown prekeys, replays and wrong tags alike.
 */
export type CryptoErrorCode =
  /** The bytes are not valid AIMessage 1. */
  | 'malformed'
  /** A stored record is damaged. */
  | 'bad_state'
  /** Another version wrote the stored record. */
  | 'bad_version'
  /** A key is not canonical, has small order, or has a torsion component. */
  | 'bad_key'
  /** A bundle is for another address, has a wrong signature, or is older than one seen before. */
  | 'bad_bundle'
  /** At first contact: a bundle so old that its owner no longer has the private keys. */
  | 'old_bundle'
  /** A card is for another address, has a wrong signature or key, or is older than one seen before. */
  | 'bad_card'
  /** The peers have no common suite at or above the minimum. */
  | 'suite_refused'
  /** There is no session to send on: fetch the peer's keys and start one. */
  | 'no_session'
  /** The peer's identity key is not the pinned one; nothing is sent until the user decides. */
  | 'identity_changed'
  | 'undecryptable'
  /** This peer has started too many sessions; the caller may retry the same bytes later. */
  | 'rate_limited'
  /** The replay list of the named prekeys is full: rotate the prekeys at once. */
  | 'prekeys_exhausted'
  | 'too_large'
  /** An offer is not signed by its sender's identity key for this recipient, or lacks a one-use key. */
  | 'bad_offer'
  /** An offer has expired. */
  | 'offer_expired'

const texts: Record<CryptoErrorCode, string> = {
  malformed: 'not a message of AIMessage 1',
  bad_state: 'the stored record is damaged',
  bad_version: 'another version wrote the stored record',
  bad_key: 'the key is not acceptable',
  bad_bundle: "the peer's key bundle is not acceptable",
  old_bundle:
    "the peer's keys are over 37 days old: it was not online for so long, the node hides newer keys, or a clock is wrong",
  bad_card: "the peer's card is not acceptable",
  suite_refused: 'no common suite at or above the minimum',
  no_session: 'there is no session with this peer',
  identity_changed: "the peer's identity key has changed",
  undecryptable: 'the message cannot be decrypted',
  rate_limited: 'too many new sessions from this peer',
  prekeys_exhausted: 'the prekeys must be rotated first',
  too_large: 'the content is too large',
  bad_offer: "the peer's offer of keys is not acceptable",
  offer_expired: 'the offer has expired',
}

/** The base class of all errors of `crypto/`. Its text names no key, no id and no cause. */
export class CryptoError extends Error {
  override readonly name: string = 'CryptoError'
  readonly code: CryptoErrorCode

  constructor(code: CryptoErrorCode) {
    super(texts[code])
    this.code = code
  }

  /** True if the same call may succeed later although nobody changes anything. */
  get retry(): boolean {
    return this.code === 'rate_limited'
  }
}

/** The peer presented a key that differs from the pinned one. Pass `seen` to `markChanged`. */
export class IdentityChangedError extends CryptoError {
  override readonly name = 'IdentityChangedError'
  readonly seen: IdentityKey

  constructor(seen: IdentityKey) {
    super('identity_changed')
    this.seen = seen
  }
}
