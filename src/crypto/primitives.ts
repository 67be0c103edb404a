// The primitives in JavaScript: the reference for every other provider, and the provider of browsers. Callers import
// provider.ts.
import { cbc } from '@noble/ciphers/aes.js'
import { hchacha, xchacha20poly1305 } from '@noble/ciphers/chacha.js'
import { swap32IfBE, u8, u32 } from '@noble/ciphers/utils.js'
import { ed25519, x25519 } from '@noble/curves/ed25519.js'
import { argon2id as nobleArgon2id } from '@noble/hashes/argon2.js'
import { hkdf } from '@noble/hashes/hkdf.js'
import { hmac } from '@noble/hashes/hmac.js'
import { sha256 as nobleSha256, sha512 as nobleSha512 } from '@noble/hashes/sha2.js'
import { randomBytes as nobleRandomBytes } from '@noble/hashes/utils.js'
import { ml_kem768 } from '@noble/post-quantum/ml-kem.js'
import { concatBytes, encodeUtf8 } from '../util/bytes.ts'
import { CryptoError } from './errors.ts'

/** Returns `n` unpredictable bytes. */
export type Random = (n: number) => Uint8Array

/** The runtime's source of randomness. */
export const randomBytes: Random = n => nobleRandomBytes(n)

/** Strict, cofactorless Ed25519 verification. Every provider gives the same verdicts. */
export type Verify = (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean

export const sha256 = (...parts: readonly Uint8Array[]): Uint8Array => nobleSha256(concatBytes(...parts))

export const sha512 = (...parts: readonly Uint8Array[]): Uint8Array => nobleSha512(concatBytes(...parts))

/** HMAC-SHA-256 (RFC 2104) over the parts in order. */
export function hmacSha256(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  const mac = hmac.create(nobleSha256, key)
  for (const part of parts) mac.update(part)
  return mac.digest()
}

/** HKDF-SHA-256 (RFC 5869): extract with `salt`, expand to `length` bytes. */
export const hkdfSha256 = (salt: Uint8Array, secret: Uint8Array, info: Uint8Array, length: number): Uint8Array =>
  hkdf(nobleSha256, secret, salt, info, length)

/** AES-256-CBC with PKCS #7 padding. */
export const encryptAes256Cbc = (key: Uint8Array, iv: Uint8Array, plaintext: Uint8Array): Uint8Array =>
  cbc(key, iv).encrypt(plaintext)

/** Call it only after the tag check: it throws on wrong padding. */
export const decryptAes256Cbc = (key: Uint8Array, iv: Uint8Array, ciphertext: Uint8Array): Uint8Array =>
  cbc(key, iv).decrypt(ciphertext)

export const xchachaNonceBytes = 24

/** XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha). Its 24-byte nonces may be chosen at random without limit. */
export const sealXChaCha = (key: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array, aad: Uint8Array): Uint8Array =>
  xchacha20poly1305(key, nonce, aad).encrypt(plaintext)

/** Returns undefined if the tag is wrong. */
export function openXChaCha(
  key: Uint8Array,
  nonce: Uint8Array,
  ciphertext: Uint8Array,
  aad: Uint8Array,
): Uint8Array | undefined {
  try {
    return xchacha20poly1305(key, nonce, aad).decrypt(ciphertext)
  } catch {
    return undefined
  }
}

const words = (bytes: Uint8Array): Uint32Array => swap32IfBE(u32(bytes.slice()))

/** HChaCha20 of the first 16 bytes of the nonce: the key of the ChaCha20-Poly1305 inside. */
export function xchachaSubkey(key: Uint8Array, nonce: Uint8Array): Uint8Array {
  const subkey = new Uint32Array(8)
  hchacha(words(encodeUtf8('expand 32-byte k')), words(key), words(nonce.subarray(0, 16)), subkey)
  return u8(swap32IfBE(subkey))
}

/** The cost of one passphrase guess: memory in KiB, passes over it, lanes (computed in sequence). */
export type Argon2Cost = { readonly memoryKib: number; readonly passes: number; readonly lanes: number }

/** Argon2id (RFC 9106) with an output of 32 bytes. */
export const argon2id = (
  passphrase: Uint8Array,
  salt: Uint8Array,
  { memoryKib, passes, lanes }: Argon2Cost,
): Uint8Array => nobleArgon2id(passphrase, salt, { m: memoryKib, t: passes, p: lanes, dkLen: 32 })

/** Compares in constant time for equal lengths. Lengths are public. */
export function constantTimeEqual(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  let difference = 0
  for (let index = 0; index < a.length; index++) difference |= (a[index] ?? 0) ^ (b[index] ?? 0)
  return difference === 0
}

/** Overwrites secrets as far as JavaScript allows: copies made by the runtime remain. */
export function wipe(...secrets: readonly Uint8Array[]): void {
  for (const secret of secrets) secret.fill(0)
}

export const ed25519PublicKey = (seed: Uint8Array): Uint8Array => ed25519.getPublicKey(seed)

export const signEd25519 = (seed: Uint8Array, message: Uint8Array): Uint8Array => ed25519.sign(message, seed)

const { Point } = ed25519
const { Fn } = Point

function littleEndian(bytes: Uint8Array): bigint {
  let number = 0n
  for (const byte of bytes.toReversed()) number = (number << 8n) | BigInt(byte)
  return number
}

/**
 * Ed25519 verification (RFC 8032 section 5.1.7) without cofactor: computes R' = [s]B - [k]A and compares its 32 bytes
 * with R, as Node's crypto does. noble's own `verify` multiplies by 8 first and so accepts signatures that Node
 * refuses.
 * Returns false for s >= L, and for a public key A that is not canonical or has small order.
 */
export const verifyEd25519: Verify = (publicKey, message, signature) => {
  if (signature.length !== 64 || publicKey.length !== 32) return false
  const r = signature.subarray(0, 32)
  const s = littleEndian(signature.subarray(32))
  if (s >= Fn.ORDER) return false
  try {
    const a = Point.fromBytes(publicKey, false)
    if (a.isSmallOrder()) return false
    const k = littleEndian(sha512(r, publicKey, message)) % Fn.ORDER
    return constantTimeEqual(Point.BASE.multiplyUnsafe(s).subtract(a.multiplyUnsafe(k)).toBytes(), r)
  } catch {
    return false
  }
}

/** Returns true for a canonical Ed25519 point of the prime-order group other than the neutral element. */
export function isPrimeOrderPoint(publicKey: Uint8Array): boolean {
  try {
    const point = Point.fromBytes(publicKey, false)
    return !point.isSmallOrder() && point.isTorsionFree()
  } catch {
    return false
  }
}

/** Maps an Ed25519 public key to X25519 (RFC 7748 section 4.1). A and -A map to the same key. */
export const toX25519PublicKey = (publicKey: Uint8Array): Uint8Array => ed25519.utils.toMontgomery(publicKey)

/** Derives the X25519 private key from an Ed25519 seed: the clamped first half of its SHA-512. */
export const toX25519PrivateKey = (seed: Uint8Array): Uint8Array => ed25519.utils.toMontgomerySecret(seed)

export const x25519PublicKey = (privateKey: Uint8Array): Uint8Array => x25519.getPublicKey(privateKey)

/** Returns true if the bytes are a u-coordinate below 2^255-19. */
export const isX25519Key = (key: Uint8Array): boolean => key.length === 32 && littleEndian(key) < Point.Fp.ORDER

/**
 * X25519 (RFC 7748 section 5).
 * @throws {CryptoError} `bad_key` if u >= 2^255-19, or if the key has low order, which makes the secret zero.
 */
export function x25519SharedSecret(privateKey: Uint8Array, publicKey: Uint8Array): Uint8Array {
  if (!isX25519Key(publicKey)) throw new CryptoError('bad_key')
  try {
    const secret = x25519.getSharedSecret(privateKey, publicKey)
    if (secret.some(byte => byte !== 0)) return secret
  } catch {
    // noble refuses a zero secret itself. The check above does not rely on it.
  }
  throw new CryptoError('bad_key')
}

type KemKeyPair = { readonly publicKey: Uint8Array; readonly secretKey: Uint8Array }

/** Derives an ML-KEM-768 key pair (FIPS 203 algorithm 16) from its 64-byte seed d || z. */
export const kemKeyPair = (seed: Uint8Array): KemKeyPair => ml_kem768.keygen(seed)

/** The modulus check of FIPS 203 section 7.2: 1184 bytes whose 768 coefficients of 12 bits are below q = 3329. */
export function isKemKey(key: Uint8Array): boolean {
  if (key.length !== 1184) return false
  for (let at = 0; at < 1152; at += 3) {
    const [low = 0, middle = 0, high = 0] = key.subarray(at, at + 3)
    if ((low | ((middle & 15) << 8)) >= 3329 || ((middle >> 4) | (high << 4)) >= 3329) return false
  }
  return true
}

/**
 * ML-KEM-768 encapsulation with the given 32 random bytes.
 * @throws {CryptoError} `bad_key`
 */
export function encapsulateKem(
  key: Uint8Array,
  randomness: Uint8Array,
): { ciphertext: Uint8Array; secret: Uint8Array } {
  if (!isKemKey(key)) throw new CryptoError('bad_key')
  const { cipherText, sharedSecret } = ml_kem768.encapsulate(key, randomness)
  return { ciphertext: cipherText, secret: sharedSecret }
}

/** ML-KEM-768 decapsulation. A wrong ciphertext gives a different secret and no error (implicit rejection). */
export const decapsulateKem = (ciphertext: Uint8Array, secretKey: Uint8Array): Uint8Array =>
  ml_kem768.decapsulate(ciphertext, secretKey)
