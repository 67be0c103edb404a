import { concatBytes } from '../../util/bytes.ts'
import { type ByteReader, readAll } from '../encoding/byte-reader.ts'
import { u8, u16, u32, u64 } from '../encoding/byte-writer.ts'
import { readKeyId, readOptionalKeyId, readX25519Key } from '../encoding/key-reader.ts'
import { CryptoError } from '../errors.ts'
import { encodeServed, readServed, type Served } from '../keys/bundle.ts'
import { cryptoLimits } from '../limits.ts'
import { isSuite, type Suite } from '../suites.ts'

/** The Double Ratchet header: the sender's ratchet key, the length of its previous chain, the number in this chain. */
export type RatchetHeader = { readonly dh: Uint8Array; readonly pn: number; readonly n: number }
/** `sealed` is the ciphertext followed by the tag. */
export type RatchetMessage = {
  readonly type: 'ratchet'
  readonly sid: Uint8Array
  readonly header: RatchetHeader
  readonly sealed: Uint8Array
}
/** The initiator's part of the handshake. A `oneTimeKeyId` of 0 means none; `kem` is null in suite 1. */
export type PrekeyHeader = {
  readonly suite: Suite
  readonly identity: Uint8Array
  readonly ephemeral: Uint8Array
  readonly signedPrekeyId: number
  readonly oneTimeKeyId: number
  readonly kem: { readonly id: number; readonly ciphertext: Uint8Array } | null
}
export type PrekeyMessage = {
  readonly type: 'prekey'
  readonly header: PrekeyHeader
  /** The encoded header, from which the session id is computed. */
  readonly headerBytes: Uint8Array
  readonly inner: RatchetMessage
}
export type OfferMessage = {
  readonly type: 'offer'
  readonly offerId: Uint8Array
  readonly expiresAtS: number
  readonly served: Served
  /** Null in type 03, which earlier versions send. */
  readonly signature: Uint8Array | null
}
type OfferDeclined = { readonly type: 'offer-declined'; readonly offerId: Uint8Array; readonly reason: number }
/** The message types of a `body` (docs/E2E.md section 6). */
export type Message = RatchetMessage | PrekeyMessage | OfferMessage | OfferDeclined

const version = 1
const types = { ratchet: 1, prekey: 2, 'unsigned-offer': 3, 'offer-declined': 4, offer: 5 } as const
const signatureBytes = 64
/** One AES block and the tag. */
const minSealedBytes = 16 + 32
const kemCiphertextBytes = 1088

export const encodeHeader = ({ dh, pn, n }: RatchetHeader): Uint8Array => concatBytes(dh, u32(pn), u32(n))

export const encodeRatchetMessage = (sid: Uint8Array, header: Uint8Array, sealed: Uint8Array): Uint8Array =>
  concatBytes(u8(version), u8(types.ratchet), sid, header, sealed)

/** Encodes the 76 or 1168 bytes of docs/E2E.md section 5. */
export function encodePrekeyHeader(header: PrekeyHeader): Uint8Array {
  return concatBytes(
    u8(version),
    u8(types.prekey),
    u16(header.suite),
    header.identity,
    header.ephemeral,
    u32(header.signedPrekeyId),
    u32(header.oneTimeKeyId),
    ...(header.kem ? [u32(header.kem.id), header.kem.ciphertext] : []),
  )
}

/** The fields of an offer, which its signature covers together with both addresses. */
export const encodeOfferFields = ({ offerId, expiresAtS, served }: Omit<OfferMessage, 'type' | 'signature'>) =>
  concatBytes(offerId, u64(expiresAtS), encodeServed(served))

export const encodeOffer = ({ signature, ...fields }: Omit<OfferMessage, 'type'>): Uint8Array =>
  signature
    ? concatBytes(u8(version), u8(types.offer), encodeOfferFields(fields), signature)
    : concatBytes(u8(version), u8(types['unsigned-offer']), encodeOfferFields(fields))

export const encodeOfferDeclined = (offerId: Uint8Array, reason: number): Uint8Array =>
  concatBytes(u8(version), u8(types['offer-declined']), offerId, u8(reason))

function readRatchetMessage(reader: ByteReader): RatchetMessage {
  const sid = reader.take(16)
  const header = { dh: readX25519Key(reader), pn: reader.u32(), n: reader.u32() }
  const sealed = reader.rest()
  if (sealed.length < minSealedBytes || sealed.length % 16 !== 0) throw new CryptoError('malformed')
  return { type: 'ratchet', sid, header, sealed }
}

function readSuite(reader: ByteReader): Suite {
  const suite = reader.u16()
  if (!isSuite(suite)) throw new CryptoError('malformed')
  return suite
}

function readPrekeyHeader(reader: ByteReader): PrekeyHeader {
  const suite = readSuite(reader)
  return {
    suite,
    identity: reader.take(32),
    ephemeral: readX25519Key(reader),
    signedPrekeyId: readKeyId(reader),
    oneTimeKeyId: readOptionalKeyId(reader),
    kem: suite === 2 ? { id: readKeyId(reader), ciphertext: reader.take(kemCiphertextBytes) } : null,
  }
}

function readPrekeyMessage(reader: ByteReader): PrekeyMessage {
  const header = readPrekeyHeader(reader)
  reader.expect(version)
  reader.expect(types.ratchet)
  return { type: 'prekey', header, headerBytes: encodePrekeyHeader(header), inner: readRatchetMessage(reader) }
}

const readOfferFields = (reader: ByteReader) => ({
  offerId: reader.take(16),
  expiresAtS: reader.u64(),
  served: readServed(reader),
})

function readMessage(reader: ByteReader): Message {
  reader.expect(version)
  switch (reader.u8()) {
    case types.ratchet:
      return readRatchetMessage(reader)
    case types.prekey:
      return readPrekeyMessage(reader)
    case types['unsigned-offer']:
      return { type: 'offer', ...readOfferFields(reader), signature: null }
    case types.offer:
      return { type: 'offer', ...readOfferFields(reader), signature: reader.take(signatureBytes) }
    case types['offer-declined']:
      return { type: 'offer-declined', offerId: reader.take(16), reason: reader.u8() }
    default:
      throw new CryptoError('malformed')
  }
}

/**
 * Parses a `body`. Nothing in the result is authenticated yet.
 * @throws {CryptoError} `malformed`, or `too_large` above 90 KiB.
 */
export function decodeMessage(body: Uint8Array): Message {
  if (body.length > cryptoLimits.maxBodyBytes) throw new CryptoError('too_large')
  return readAll(body, readMessage)
}
