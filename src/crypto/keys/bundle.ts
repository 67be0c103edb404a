import { concatBytes, decodeUtf8, encodeUtf8 } from '../../util/bytes.ts'
import { type ByteReader, readAll } from '../encoding/byte-reader.ts'
import { encodeOptional, u8, u16, u32, u64, vec8, vec16 } from '../encoding/byte-writer.ts'
import { readKeyId, readX25519Key } from '../encoding/key-reader.ts'
import { CryptoError } from '../errors.ts'
import type { IdentityKey } from '../identity-key.ts'
import { labels } from '../labels.ts'
import { isKemKey, type Verify } from '../provider.ts'
import { checkIdentityKey, type IdentityKeyPair, sign, verifySigned } from './identity.ts'

/** A prekey with the owner's signature over it. */
type SignedKey = { readonly id: number; readonly key: Uint8Array; readonly signature: Uint8Array }
export type OneTimeKey = { readonly id: number; readonly key: Uint8Array }
export type OneTimeKemKey = SignedKey

/** The signed keys with which a peer starts a session (docs/E2E.md section 4). */
export type Bundle = {
  readonly address: string
  readonly identity: IdentityKey
  /** Higher in each new bundle of this identity. */
  readonly seq: number
  /** A hint only: no clock is trusted. */
  readonly issuedAtS: number
  /** May contain suites that this version does not know. */
  readonly suites: readonly number[]
  readonly signedPrekey: SignedKey
  /** Used when the node has no one-time KEM key left. */
  readonly lastResortKem: SignedKey
}

/** The answer to a key fetch: the encoded bundle, and at most one key from each one-time pool. */
export type Served = {
  readonly bundle: Uint8Array
  readonly oneTimeKey?: OneTimeKey
  readonly oneTimeKemKey?: OneTimeKemKey
}

const kemKeyBytes = 1184
const signatureBytes = 64

export const encodeX25519Key = (key: Uint8Array): Uint8Array => concatBytes(u8(2), key)
export const encodeKemKey = (key: Uint8Array): Uint8Array => concatBytes(u8(3), key)

export const signPrekey = (identity: IdentityKeyPair, key: Uint8Array): Uint8Array =>
  sign(identity, labels.prekey, encodeX25519Key(key))

export const signKemKey = (identity: IdentityKeyPair, key: Uint8Array): Uint8Array =>
  sign(identity, labels.prekey, encodeKemKey(key))

/** Returns true if this is a valid ML-KEM key, one-time or last-resort, that `identity` signed. */
export const verifyKemKey = (identity: IdentityKey, key: Uint8Array, signature: Uint8Array, verify?: Verify): boolean =>
  isKemKey(key) && verifySigned(identity, labels.prekey, encodeKemKey(key), signature, verify)

const readSignedKey = (reader: ByteReader, readKey: (reader: ByteReader) => Uint8Array): SignedKey => ({
  id: readKeyId(reader),
  key: readKey(reader),
  signature: reader.take(signatureBytes),
})

const readKemKey = (reader: ByteReader): Uint8Array => reader.take(kemKeyBytes)

/** @throws {CryptoError} `malformed` if the bytes are not UTF-8. */
export function readAddress(reader: ByteReader): string {
  try {
    return decodeUtf8(reader.vec8())
  } catch {
    throw new CryptoError('malformed')
  }
}

function readSuites(reader: ByteReader): number[] {
  const listed = reader.list(reader.u8(), item => item.u16())
  if (listed.length === 0 || listed.includes(0) || new Set(listed).size !== listed.length) {
    throw new CryptoError('malformed')
  }
  return listed
}

function readSigned(reader: ByteReader): Bundle {
  reader.expect(1)
  return {
    address: readAddress(reader),
    identity: checkIdentityKey(reader.take(32)),
    seq: reader.u64(),
    issuedAtS: reader.u64(),
    suites: readSuites(reader),
    signedPrekey: readSignedKey(reader, readX25519Key),
    lastResortKem: readSignedKey(reader, readKemKey),
  }
}

const encodeSignedKey = ({ id, key, signature }: SignedKey): Uint8Array => concatBytes(u32(id), key, signature)

function encodeToBeSigned(bundle: Bundle): Uint8Array {
  return concatBytes(
    u8(1),
    vec8(encodeUtf8(bundle.address)),
    bundle.identity,
    u64(bundle.seq),
    u64(bundle.issuedAtS),
    u8(bundle.suites.length),
    ...bundle.suites.map(u16),
    encodeSignedKey(bundle.signedPrekey),
    encodeSignedKey(bundle.lastResortKem),
  )
}

/** Encodes and signs a bundle. `bundle.identity` must be the public key of `identity`. */
export function encodeBundle(identity: IdentityKeyPair, bundle: Bundle): Uint8Array {
  const signed = encodeToBeSigned(bundle)
  return concatBytes(signed, sign(identity, labels.bundle, signed))
}

/**
 * Decodes a bundle and checks its structure, its identity key and its three signatures.
 * The caller compares the address, the pinned key and `seq`.
 * @throws {CryptoError} `malformed`, `bad_key` or `bad_bundle`
 */
export function decodeBundle(bytes: Uint8Array, verify?: Verify): Bundle {
  if (bytes.length < signatureBytes) throw new CryptoError('malformed')
  const signed = bytes.subarray(0, -signatureBytes)
  const bundle = readAll(signed, readSigned)
  const { identity, signedPrekey, lastResortKem } = bundle
  const genuine =
    verifySigned(identity, labels.bundle, signed, bytes.subarray(-signatureBytes), verify) &&
    verifySigned(identity, labels.prekey, encodeX25519Key(signedPrekey.key), signedPrekey.signature, verify) &&
    verifyKemKey(identity, lastResortKem.key, lastResortKem.signature, verify)
  if (!genuine) throw new CryptoError('bad_bundle')
  return bundle
}

export function encodeServed({ bundle, oneTimeKey, oneTimeKemKey }: Served): Uint8Array {
  return concatBytes(
    vec16(bundle),
    encodeOptional(oneTimeKey, ({ id, key }) => concatBytes(u32(id), key)),
    encodeOptional(oneTimeKemKey, encodeSignedKey),
  )
}

/** Decodes without checking signatures: each signature is checked when its key is used. */
export function readServed(reader: ByteReader): Served {
  const bundle = reader.vec16()
  const oneTimeKey = reader.optional(item => ({ id: readKeyId(item), key: readX25519Key(item) }))
  const oneTimeKemKey = reader.optional(item => readSignedKey(item, readKemKey))
  return { bundle, ...(oneTimeKey && { oneTimeKey }), ...(oneTimeKemKey && { oneTimeKemKey }) }
}

/** @throws {CryptoError} `malformed` */
export const decodeServed = (bytes: Uint8Array): Served => readAll(bytes, readServed)
