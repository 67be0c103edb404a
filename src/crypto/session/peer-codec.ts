import { concatBytes, encodeUtf8 } from '../../util/bytes.ts'
import type { ByteReader } from '../encoding/byte-reader.ts'
import { encodeOptional, u8, u64, vec8 } from '../encoding/byte-writer.ts'
import { readVersionedRecord } from '../encoding/versioned-record.ts'
import { CryptoError } from '../errors.ts'
import { readAddress } from '../keys/bundle.ts'
import { trustedIdentityKey } from '../keys/identity.ts'
import type { Peer } from './peer.ts'
import { encodeSession, readSession, readSuite } from './session-codec.ts'

const version = 1
const trusts = { unknown: 0, 'first-use': 1, verified: 2, changedFromFirstUse: 3, changedFromVerified: 4 } as const

function encodeTrust(peer: Peer): Uint8Array {
  switch (peer.trust) {
    case 'unknown':
      return u8(trusts.unknown)
    case 'changed': {
      const code = peer.before === 'verified' ? trusts.changedFromVerified : trusts.changedFromFirstUse
      return concatBytes(u8(code), peer.identity, peer.seen)
    }
    default:
      return concatBytes(u8(trusts[peer.trust]), peer.identity)
  }
}

function readTrust(reader: ByteReader) {
  const key = () => trustedIdentityKey(reader.take(32))
  switch (reader.u8()) {
    case trusts.unknown:
      return { trust: 'unknown' } as const
    case trusts['first-use']:
      return { trust: 'first-use', identity: key() } as const
    case trusts.verified:
      return { trust: 'verified', identity: key() } as const
    case trusts.changedFromFirstUse:
      return { trust: 'changed', before: 'first-use', identity: key(), seen: key() } as const
    case trusts.changedFromVerified:
      return { trust: 'changed', before: 'verified', identity: key(), seen: key() } as const
    default:
      throw new CryptoError('bad_state')
  }
}

/** Encodes the stored record, which contains the secrets of the sessions. */
export function encodePeer(peer: Peer): Uint8Array {
  return concatBytes(
    u8(version),
    vec8(encodeUtf8(peer.address)),
    encodeTrust(peer),
    u8(peer.minSuite),
    u64(peer.maxSeq),
    vec8(peer.active ?? new Uint8Array()),
    encodeOptional(peer.resetAtMs, u64),
    encodeOptional(peer.renewedAtMs, u64),
    u8(peer.handshakes.length),
    ...peer.handshakes.map(u64),
    u8(peer.sessions.length),
    ...peer.sessions.map(encodeSession),
  )
}

function readActive(reader: ByteReader): Uint8Array | null {
  const sid = reader.vec8()
  if (sid.length !== 0 && sid.length !== 16) throw new CryptoError('bad_state')
  return sid.length === 0 ? null : sid
}

/** @throws {CryptoError} `bad_version`, or `bad_state` for a damaged record. */
export function decodePeer(bytes: Uint8Array): Peer {
  return readVersionedRecord(bytes, version, reader => ({
    address: readAddress(reader),
    ...readTrust(reader),
    minSuite: readSuite(reader),
    maxSeq: reader.u64(),
    active: readActive(reader),
    resetAtMs: reader.optional(item => item.u64()) ?? null,
    renewedAtMs: reader.optional(item => item.u64()) ?? null,
    handshakes: reader.list(reader.u8(), item => item.u64()),
    sessions: reader.list(reader.u8(), readSession),
  }))
}
