import { concatBytes } from '../../util/bytes.ts'
import { readAll } from '../encoding/byte-reader.ts'
import { u8, u16, u64, vec32 } from '../encoding/byte-writer.ts'
import { CryptoError } from '../errors.ts'
import { cryptoLimits } from '../limits.ts'
import type { Random } from '../provider.ts'

/** The kinds of docs/E2E.md section 6. The index is the number on the wire. */
const kinds = ['application', 'empty', 'reset', 'receipt', 'room', 'mls'] as const
const resetReasons = { undecryptable: 1, renewal: 2, rollback: 3 } as const
const receiptStates = { delivered: 1, read: 2 } as const

export type ContentKind = (typeof kinds)[number]
/** A kind of a later version, with its number on the wire. Its content is authentic; only its meaning is unknown. */
type UnknownKind = `unknown-${number}`
/** The plaintext of one message. `id` is 16 random bytes and stays the same if the content is encrypted again. */
export type Content = {
  readonly id: Uint8Array
  readonly kind: ContentKind | UnknownKind
  readonly sentAtMs: number
  readonly body: Uint8Array
}
/**
 * Content of kind `reset`. Its sender asks for messages again: those that `ids` name by their `msg_id`, by the sid of
 * their session or by the hash of their body; all if there are none.
 */
export type Reset = { readonly reason: keyof typeof resetReasons; readonly ids: readonly Uint8Array[] }
/** Content of kind `receipt`. */
export type Receipt = { readonly state: keyof typeof receiptStates; readonly ids: readonly Uint8Array[] }

/** Makes a content with a new id. */
export const newContent = (
  kind: ContentKind,
  body: Uint8Array,
  { nowMs, random }: { nowMs: number; random: Random },
): Content => ({ id: random(16), kind, sentAtMs: nowMs, body })

/** Returns the position of the highest set bit, without the rounding errors of `Math.log2`. */
const log2 = (number: number): number => 31 - Math.clz32(number)

/** Padmé (PURBs, Nikitin et al. 2019, section 4): adds at most 12 % and leaks O(log log) bits of the length. */
export function paddedLength(length: number): number {
  if (length <= cryptoLimits.minPaddedBytes) return cryptoLimits.minPaddedBytes
  const exponent = log2(length)
  const granule = 2 ** (exponent - log2(exponent) - 1)
  return Math.ceil(length / granule) * granule
}

const names: readonly string[] = kinds

/** @throws {CryptoError} `too_large` for a body over 64 KiB, and for a kind that this version does not send. */
export function encodeContent({ id, kind, sentAtMs, body }: Content): Uint8Array {
  if (id.length !== 16) throw new CryptoError('malformed')
  if (body.length > cryptoLimits.maxContentBytes) throw new CryptoError('too_large')
  const content = concatBytes(id, u8(1), u8(names.indexOf(kind)), u64(sentAtMs), vec32(body), u8(0x80))
  const padded = new Uint8Array(paddedLength(content.length))
  padded.set(content)
  return padded
}

/** @throws {CryptoError} `malformed`, also if the padding differs from that of `encodeContent`. */
export function decodeContent(bytes: Uint8Array): Content {
  return readAll(bytes, reader => {
    const id = reader.take(16)
    reader.expect(1)
    const code = reader.u8()
    const sentAtMs = reader.u64()
    const body = reader.vec32()
    reader.expect(0x80)
    const length = bytes.length - reader.remaining
    if (body.length > cryptoLimits.maxContentBytes) throw new CryptoError('malformed')
    if (bytes.length !== paddedLength(length) || reader.rest().some(byte => byte !== 0)) {
      throw new CryptoError('malformed')
    }
    return { id, kind: kinds[code] ?? `unknown-${code}`, sentAtMs, body }
  })
}

const encodeIds = (code: number, ids: readonly Uint8Array[]): Uint8Array =>
  concatBytes(u8(code), u16(ids.length), ...ids)

function decodeIds<Name extends string>(bytes: Uint8Array, codes: Readonly<Record<Name, number>>) {
  return readAll(bytes, reader => {
    const code = reader.u8()
    const name = (Object.keys(codes) as Name[]).find(key => codes[key] === code)
    if (name === undefined) throw new CryptoError('malformed')
    const count = reader.u16()
    if (count > cryptoLimits.maxIdsPerContent) throw new CryptoError('malformed')
    return { name, ids: reader.list(count, item => item.take(16)) }
  })
}

/** Encodes the body of a content of kind `reset`. */
export const encodeReset = ({ reason, ids }: Reset): Uint8Array => encodeIds(resetReasons[reason], ids)

/** @throws {CryptoError} `malformed` */
export function decodeReset(body: Uint8Array): Reset {
  const { name, ids } = decodeIds(body, resetReasons)
  return { reason: name, ids }
}

/** Returns the names in a reset; none for any other content. */
export function namedInReset({ kind, body }: Content): readonly Uint8Array[] {
  if (kind !== 'reset') return []
  try {
    return decodeReset(body).ids
  } catch {
    return []
  }
}

/** Encodes the body of a content of kind `receipt`. */
export const encodeReceipt = ({ state, ids }: Receipt): Uint8Array => encodeIds(receiptStates[state], ids)

/** @throws {CryptoError} `malformed` */
export function decodeReceipt(body: Uint8Array): Receipt {
  const { name, ids } = decodeIds(body, receiptStates)
  return { state: name, ids }
}
