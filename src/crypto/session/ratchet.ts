import { concatBytes, encodeUtf8, equalBytes } from '../../util/bytes.ts'
import { vec16 } from '../encoding/byte-writer.ts'
import { CryptoError } from '../errors.ts'
import { labels } from '../labels.ts'
import { cryptoLimits } from '../limits.ts'
import { encodeHeader, type RatchetHeader } from '../messages/message.ts'
import {
  constantTimeEqual,
  decryptAes256Cbc,
  encryptAes256Cbc,
  hkdfSha256,
  hmacSha256,
  type Random,
  wipe,
  x25519PublicKey,
  x25519SharedSecret,
} from '../provider.ts'
import { findSkipped, type SkippedKeys, withoutExpired, withoutSkipped, withSkipped } from './skipped-keys.ts'

type KeyPair = { readonly privateKey: Uint8Array; readonly publicKey: Uint8Array }
/** A chain key and the number of its next message. */
export type Chain = { readonly key: Uint8Array; readonly n: number }
/** The peer's sending chain and the ratchet key that started it. */
type ReceivingChain = Chain & { readonly dh: Uint8Array }
/**
 * The state of the Double Ratchet (revision 4, section 3). Immutable: each operation returns the next state, and the
 * caller commits it. `sending` is null for a responder that has received nothing; `receiving` is null for an initiator
 * that has received nothing.
 */
export type Ratchet = {
  readonly rootKey: Uint8Array
  readonly self: KeyPair
  readonly sending: Chain | null
  readonly receiving: ReceivingChain | null
  /** The length of the previous sending chain. */
  readonly pn: number
  readonly skipped: SkippedKeys
}
/** The inputs of a decryption besides the message. `lifetimeMs` is how long a mailbox keeps a message. */
type DecryptContext = { readonly nowMs: number; readonly random: Random; readonly lifetimeMs: number }
type Sealed = { readonly associatedData: Uint8Array; readonly header: RatchetHeader; readonly sealed: Uint8Array }

const zeros32 = new Uint8Array(32)
const one = Uint8Array.of(1)
const two = Uint8Array.of(2)
const tagBytes = 32

export const keyPair = (privateKey: Uint8Array): KeyPair => ({ privateKey, publicKey: x25519PublicKey(privateKey) })

/** KDF_RK (docs/E2E.md section 6). */
function turnRoot(
  rootKey: Uint8Array,
  self: KeyPair,
  remote: Uint8Array,
): { rootKey: Uint8Array; chainKey: Uint8Array } {
  const secret = x25519SharedSecret(self.privateKey, remote)
  const keys = hkdfSha256(rootKey, secret, encodeUtf8(labels.rootChain), 64)
  wipe(secret)
  return { rootKey: keys.slice(0, 32), chainKey: keys.slice(32) }
}

/** The two halves of KDF_CK. */
const nextChainKey = (chainKey: Uint8Array): Uint8Array => hmacSha256(chainKey, two)
const messageKey = (chainKey: Uint8Array): Uint8Array => hmacSha256(chainKey, one)

/** Starts with the responder's signed prekey as its first ratchet key. Wipes `sharedSecret`. */
export function initiatorRatchet(sharedSecret: Uint8Array, signedPrekey: Uint8Array, random: Random): Ratchet {
  const self = keyPair(random(32))
  const { rootKey, chainKey } = turnRoot(sharedSecret, self, signedPrekey)
  wipe(sharedSecret)
  return { rootKey, self, sending: { key: chainKey, n: 0 }, receiving: null, pn: 0, skipped: [] }
}

/** Starts with our signed prekey as our first ratchet key, and `sharedSecret` as the root key. */
export const responderRatchet = (sharedSecret: Uint8Array, signedPrekey: KeyPair): Ratchet => ({
  rootKey: sharedSecret,
  self: signedPrekey,
  sending: null,
  receiving: null,
  pn: 0,
  skipped: [],
})

function expandMessageKey(key: Uint8Array) {
  const keys = hkdfSha256(zeros32, key, encodeUtf8(labels.messageKeys), 80)
  return { keys, enc: keys.subarray(0, 32), mac: keys.subarray(32, 64), iv: keys.subarray(64) }
}

const authenticated = (associatedData: Uint8Array, header: Uint8Array): Uint8Array =>
  concatBytes(vec16(associatedData), header)

function seal(key: Uint8Array, associatedData: Uint8Array, header: Uint8Array, plaintext: Uint8Array): Uint8Array {
  const { keys, enc, mac, iv } = expandMessageKey(key)
  const ciphertext = encryptAes256Cbc(enc, iv, plaintext)
  const tag = hmacSha256(mac, authenticated(associatedData, header), ciphertext)
  wipe(keys)
  return concatBytes(ciphertext, tag)
}

/** Checks the tag, then decrypts. */
function open(key: Uint8Array, { associatedData, header, sealed }: Sealed): Uint8Array {
  const { keys, enc, mac, iv } = expandMessageKey(key)
  const ciphertext = sealed.subarray(0, -tagBytes)
  const tag = hmacSha256(mac, authenticated(associatedData, encodeHeader(header)), ciphertext)
  try {
    if (!constantTimeEqual(tag, sealed.subarray(-tagBytes))) throw new CryptoError('undecryptable')
    return decryptAes256Cbc(enc, iv, ciphertext)
  } finally {
    wipe(keys)
  }
}

/**
 * Encrypts one message. The returned `header` has 40 bytes.
 * @throws {CryptoError} `no_session` for a responder that has received nothing yet.
 */
export function encryptRatchet(
  ratchet: Ratchet,
  associatedData: Uint8Array,
  plaintext: Uint8Array,
): { ratchet: Ratchet; header: Uint8Array; sealed: Uint8Array } {
  const { self, sending, pn } = ratchet
  if (!sending) throw new CryptoError('no_session')
  const header = encodeHeader({ dh: self.publicKey, pn, n: sending.n })
  const key = messageKey(sending.key)
  const sealed = seal(key, associatedData, header, plaintext)
  wipe(key)
  return { ratchet: { ...ratchet, sending: { key: nextChainKey(sending.key), n: sending.n + 1 } }, header, sealed }
}

/** Returns the chain keys `from.n` to `n`. The caller has checked `tooFar`. */
function advance(from: Chain, n: number): Uint8Array[] {
  const chainKeys = [from.key]
  for (let at = from.n; at < n; at++) chainKeys.push(nextChainKey(chainKeys[chainKeys.length - 1] ?? zeros32))
  return chainKeys
}

const tooFar = (from: number, to: number): boolean => to - from > cryptoLimits.maxSkippedPerMessage

/** Returns the message keys of `chainKeys`, numbered from `chain.n`, for `withSkipped`. */
function toSkippedRun(chain: ReceivingChain, chainKeys: readonly Uint8Array[], skippedAtMs: number) {
  const keys = chainKeys.map((chainKey, index) => ({ n: chain.n + index, key: messageKey(chainKey) }))
  return { dh: chain.dh, skippedAtMs, keys }
}

/** Opens message n of `chain` and returns the next chain and the next skipped keys. */
function openOnChain(chain: ReceivingChain, skipped: SkippedKeys, message: Sealed, nowMs: number) {
  const { n } = message.header
  const chainKeys = advance(chain, n)
  const current = chainKeys.pop() ?? chain.key
  const key = messageKey(current)
  const plaintext = open(key, message)
  wipe(key)
  return {
    plaintext,
    receiving: { dh: chain.dh, key: nextChainKey(current), n: n + 1 },
    skipped: withSkipped(skipped, toSkippedRun(chain, chainKeys, nowMs)),
  }
}

/** Keeps the keys of the old chain's outstanding messages, unless the gap exceeds the limit. */
function closeChain(chain: ReceivingChain | null, skipped: SkippedKeys, pn: number, nowMs: number): SkippedKeys {
  if (!chain || pn <= chain.n || tooFar(chain.n, pn)) return skipped
  return withSkipped(skipped, toSkippedRun(chain, advance(chain, pn - 1), nowMs))
}

/** The peer has a new ratchet key: turn the root, open the message, and only then make our next ratchet key. */
function openTurned(ratchet: Ratchet, skipped: SkippedKeys, message: Sealed, { nowMs, random }: DecryptContext) {
  const { dh, pn } = message.header
  const turned = turnRoot(ratchet.rootKey, ratchet.self, dh)
  const opened = openOnChain({ dh, key: turned.chainKey, n: 0 }, [], message, nowMs)
  const self = keyPair(random(32))
  const { rootKey, chainKey } = turnRoot(turned.rootKey, self, dh)
  const closed = closeChain(ratchet.receiving, skipped, pn, nowMs)
  return {
    plaintext: opened.plaintext,
    ratchet: {
      rootKey,
      self,
      sending: { key: chainKey, n: 0 },
      receiving: opened.receiving,
      pn: ratchet.sending?.n ?? 0,
      skipped: opened.skipped.reduce(withSkipped, closed),
    },
  }
}

function openMessage(ratchet: Ratchet, message: Sealed, context: DecryptContext) {
  const { dh, n } = message.header
  const { nowMs, lifetimeMs } = context
  const skipped = withoutExpired(ratchet.skipped, nowMs, lifetimeMs)
  const found = findSkipped(skipped, dh, n)
  if (found) {
    const plaintext = open(found, message)
    return { plaintext, isLate: true, ratchet: { ...ratchet, skipped: withoutSkipped(skipped, dh, n) } }
  }
  const chain = ratchet.receiving
  const known = chain !== null && equalBytes(chain.dh, dh)
  if (tooFar(known ? chain.n : 0, n)) throw new CryptoError('undecryptable')
  if (!known) return { ...openTurned(ratchet, skipped, message, context), isLate: false }
  if (n < chain.n) throw new CryptoError('undecryptable')
  const opened = openOnChain(chain, skipped, message, nowMs)
  const next = { ...ratchet, receiving: opened.receiving, skipped: opened.skipped }
  return { plaintext: opened.plaintext, isLate: false, ratchet: next }
}

/**
 * Decrypts one message. `isLate` is true if a message that the sender encrypted later was opened first. The work before
 * the tag check is bounded: one DH and `maxSkippedPerMessage` hashes.
 * @throws {CryptoError} `undecryptable` for every cause; `ratchet` does not change.
 */
export function decryptRatchet(
  ratchet: Ratchet,
  message: Sealed,
  context: DecryptContext,
): { ratchet: Ratchet; plaintext: Uint8Array; isLate: boolean } {
  try {
    return openMessage(ratchet, message, context)
  } catch {
    throw new CryptoError('undecryptable')
  }
}
