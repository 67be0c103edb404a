import { concatBytes, encodeUtf8 } from '../../util/bytes.ts'
import type { ByteReader } from '../encoding/byte-reader.ts'
import { encodeOptional, u8, u16, u32, u64, vec8 } from '../encoding/byte-writer.ts'
import { readVersionedRecord } from '../encoding/versioned-record.ts'
import { CryptoError } from '../errors.ts'
import { readAddress } from './bundle.ts'
import type { KemPrekey, PendingOffer, PrekeyGeneration, Prekeys, PrivatePrekey } from './prekeys.ts'

const version = 1

const encodePrivate = ({ id, privateKey }: PrivatePrekey): Uint8Array => concatBytes(u32(id), privateKey)
const encodeKem = ({ id, seed }: KemPrekey): Uint8Array => concatBytes(u32(id), seed)

function encodeGeneration(generation: PrekeyGeneration): Uint8Array {
  const { signedPrekey, lastResortKem, createdAtMs, retiredAtMs, replays } = generation
  return concatBytes(
    encodePrivate(signedPrekey),
    encodeKem(lastResortKem),
    u64(createdAtMs),
    encodeOptional(retiredAtMs, u64),
    u16(replays.length),
    ...replays,
  )
}

const encodeOffer = ({ offerId, to, expiresAtMs, oneTimeKey, oneTimeKemKey }: PendingOffer): Uint8Array =>
  concatBytes(offerId, vec8(encodeUtf8(to)), u64(expiresAtMs), encodePrivate(oneTimeKey), encodeKem(oneTimeKemKey))

/** Encodes the stored record, which contains private keys. */
export function encodePrekeys(prekeys: Prekeys): Uint8Array {
  return concatBytes(
    u8(version),
    u64(prekeys.seq),
    u32(prekeys.nextId),
    u8(prekeys.generations.length),
    ...prekeys.generations.map(encodeGeneration),
    u16(prekeys.oneTimeKeys.length),
    ...prekeys.oneTimeKeys.map(encodePrivate),
    u16(prekeys.oneTimeKemKeys.length),
    ...prekeys.oneTimeKemKeys.map(encodeKem),
    u8(prekeys.offers.length),
    ...prekeys.offers.map(encodeOffer),
  )
}

const readPrivate = (reader: ByteReader): PrivatePrekey => ({ id: reader.u32(), privateKey: reader.take(32) })
const readKem = (reader: ByteReader): KemPrekey => ({ id: reader.u32(), seed: reader.take(64) })

const readGeneration = (reader: ByteReader): PrekeyGeneration => ({
  signedPrekey: readPrivate(reader),
  lastResortKem: readKem(reader),
  createdAtMs: reader.u64(),
  retiredAtMs: reader.optional(item => item.u64()) ?? null,
  replays: reader.list(reader.u16(), item => item.take(16)),
})

function readGenerations(reader: ByteReader): Prekeys['generations'] {
  const [first, ...others] = reader.list(reader.u8(), readGeneration)
  if (!first) throw new CryptoError('bad_state')
  return [first, ...others]
}

const readOffer = (reader: ByteReader): PendingOffer => ({
  offerId: reader.take(16),
  to: readAddress(reader),
  expiresAtMs: reader.u64(),
  oneTimeKey: readPrivate(reader),
  oneTimeKemKey: readKem(reader),
})

/** @throws {CryptoError} `bad_version`, or `bad_state` for a damaged record. */
export function decodePrekeys(bytes: Uint8Array): Prekeys {
  return readVersionedRecord(bytes, version, reader => ({
    seq: reader.u64(),
    nextId: reader.u32(),
    generations: readGenerations(reader),
    oneTimeKeys: reader.list(reader.u16(), readPrivate),
    oneTimeKemKeys: reader.list(reader.u16(), readKem),
    offers: reader.list(reader.u8(), readOffer),
  }))
}
