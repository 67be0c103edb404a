import { concatBytes } from '../../util/bytes.ts'
import type { ByteReader } from '../encoding/byte-reader.ts'
import { encodeOptional, u8, u16, u32, u64, vec16 } from '../encoding/byte-writer.ts'
import { CryptoError } from '../errors.ts'
import { isSuite, type Suite } from '../suites.ts'
import type { Chain, Ratchet } from './ratchet.ts'
import type { Opening, Role, Session, SessionStatus } from './session.ts'
import type { SkippedRun } from './skipped-keys.ts'

/** Tags of stored unions. The tag of an opening is its index. */
const openings: readonly Opening[] = ['none', 'content', 'reset']
const roles = { unanswered: 0, answered: 1, inbound: 2 } as const
const statuses = { current: 0, superseded: 1, retired: 2 } as const

function encodeRole(role: Role): Uint8Array {
  switch (role.kind) {
    case 'unanswered':
      return concatBytes(u8(roles.unanswered), vec16(role.prekeyHeader))
    case 'answered':
      return concatBytes(u8(roles.answered), u64(role.answeredAtMs))
    case 'inbound':
      return u8(roles.inbound)
  }
}

function readRole(reader: ByteReader): Role {
  switch (reader.u8()) {
    case roles.unanswered:
      return { kind: 'unanswered', prekeyHeader: reader.vec16() }
    case roles.answered:
      return { kind: 'answered', answeredAtMs: reader.u64() }
    case roles.inbound:
      return { kind: 'inbound' }
    default:
      throw new CryptoError('bad_state')
  }
}

function encodeStatus(status: SessionStatus): Uint8Array {
  switch (status.kind) {
    case 'current':
      return u8(statuses.current)
    case 'superseded':
      return concatBytes(u8(statuses.superseded), status.by, u64(status.sinceMs))
    case 'retired':
      return concatBytes(u8(statuses.retired), u64(status.sinceMs))
  }
}

function readStatus(reader: ByteReader): SessionStatus {
  switch (reader.u8()) {
    case statuses.current:
      return { kind: 'current' }
    case statuses.superseded:
      return { kind: 'superseded', by: reader.take(16), sinceMs: reader.u64() }
    case statuses.retired:
      return { kind: 'retired', sinceMs: reader.u64() }
    default:
      throw new CryptoError('bad_state')
  }
}

const encodeChain = ({ key, n }: Chain): Uint8Array => concatBytes(key, u32(n))
const readChain = (reader: ByteReader): Chain => ({ key: reader.take(32), n: reader.u32() })

const encodeRun = ({ dh, skippedAtMs, keys }: SkippedRun): Uint8Array =>
  concatBytes(dh, u64(skippedAtMs), u16(keys.length), ...keys.flatMap(({ n, key }) => [u32(n), key]))

const readRun = (reader: ByteReader): SkippedRun => ({
  dh: reader.take(32),
  skippedAtMs: reader.u64(),
  keys: reader.list(reader.u16(), item => ({ n: item.u32(), key: item.take(32) })),
})

function encodeRatchet({ rootKey, self, sending, receiving, pn, skipped }: Ratchet): Uint8Array {
  return concatBytes(
    rootKey,
    self.privateKey,
    self.publicKey,
    encodeOptional(sending, encodeChain),
    encodeOptional(receiving, chain => concatBytes(chain.dh, encodeChain(chain))),
    u32(pn),
    u16(skipped.length),
    ...skipped.map(encodeRun),
  )
}

const readRatchet = (reader: ByteReader): Ratchet => ({
  rootKey: reader.take(32),
  self: { privateKey: reader.take(32), publicKey: reader.take(32) },
  sending: reader.optional(readChain) ?? null,
  receiving: reader.optional(item => ({ dh: item.take(32), ...readChain(item) })) ?? null,
  pn: reader.u32(),
  skipped: reader.list(reader.u16(), readRun),
})

export function encodeSession(session: Session): Uint8Array {
  return concatBytes(
    session.sid,
    u8(session.suite),
    vec16(session.associatedData),
    encodeRatchet(session.ratchet),
    encodeRole(session.role),
    encodeStatus(session.status),
    u8(openings.indexOf(session.opening)),
    u64(session.createdAtMs),
    u32(session.sent),
    u32(session.received),
  )
}

export function readSuite(reader: ByteReader): Suite {
  const suite = reader.u8()
  if (!isSuite(suite)) throw new CryptoError('bad_state')
  return suite
}

function readOpening(reader: ByteReader): Opening {
  const opening = openings[reader.u8()]
  if (!opening) throw new CryptoError('bad_state')
  return opening
}

export const readSession = (reader: ByteReader): Session => ({
  sid: reader.take(16),
  suite: readSuite(reader),
  associatedData: reader.vec16(),
  ratchet: readRatchet(reader),
  role: readRole(reader),
  status: readStatus(reader),
  opening: readOpening(reader),
  createdAtMs: reader.u64(),
  sent: reader.u32(),
  received: reader.u32(),
})
