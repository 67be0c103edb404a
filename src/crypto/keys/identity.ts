import { concatBytes, encodeUtf8 } from '../../util/bytes.ts'
import { u8 } from '../encoding/byte-writer.ts'
import { CryptoError } from '../errors.ts'
import type { IdentityKey } from '../identity-key.ts'
import type { SignatureLabel } from '../labels.ts'
import {
  ed25519PublicKey,
  isPrimeOrderPoint,
  type Random,
  signEd25519,
  type Verify,
  verifyEd25519,
} from '../provider.ts'

/** An agent's identity. `seed` is the 32-byte Ed25519 private key. */
export type IdentityKeyPair = { readonly seed: Uint8Array; readonly publicKey: IdentityKey }
/** The agent's own identity and its address `username@domain`. */
export type Self = { readonly identity: IdentityKeyPair; readonly address: string }

/**
 * Checks a peer's identity key: canonical, torsion-free, not of small order (docs/E2E.md section 1).
 * @throws {CryptoError} `bad_key`
 */
export function checkIdentityKey(bytes: Uint8Array): IdentityKey {
  if (!isPrimeOrderPoint(bytes)) throw new CryptoError('bad_key')
  return bytes as IdentityKey
}

/** Brands a key from our own records without a check: it was checked before it was stored. */
export const trustedIdentityKey = (bytes: Uint8Array): IdentityKey => bytes as IdentityKey

/** Derives the identity from its 32-byte seed. */
export const identityFromSeed = (seed: Uint8Array): IdentityKeyPair => ({
  seed,
  publicKey: trustedIdentityKey(ed25519PublicKey(seed)),
})

export const generateIdentity = (random: Random): IdentityKeyPair => identityFromSeed(random(32))

/** Returns `01 || key`, the form in which an identity key is hashed and authenticated. */
export const encodeIdentityKey = (key: Uint8Array): Uint8Array => concatBytes(u8(1), key)

/** Returns label || 00 || m, the input of Sign(label, m) (docs/E2E.md section 1). */
export const signedBytes = (label: SignatureLabel, message: Uint8Array): Uint8Array =>
  concatBytes(encodeUtf8(label), u8(0), message)

export const sign = (identity: IdentityKeyPair, label: SignatureLabel, message: Uint8Array): Uint8Array =>
  signEd25519(identity.seed, signedBytes(label, message))

/** Returns true if `identityKey` signed `message` under `label`. */
export const verifySigned = (
  identityKey: IdentityKey,
  label: SignatureLabel,
  message: Uint8Array,
  signature: Uint8Array,
  verify: Verify = verifyEd25519,
): boolean => signature.length === 64 && verify(identityKey, signedBytes(label, message), signature)
