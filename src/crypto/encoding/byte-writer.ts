import { concatBytes } from '../../util/bytes.ts'
import { CryptoError } from '../errors.ts'

/**
 * Encodes a number big-endian (docs/E2E.md section 1).
 * @throws {CryptoError} `too_large` if the number does not fit, which is an error of the caller.
 */
function encodeNumber(number: number, bytes: 1 | 2 | 4): Uint8Array {
  if (!Number.isInteger(number) || number < 0 || number >= 2 ** (8 * bytes)) throw new CryptoError('too_large')
  const encoded = new Uint8Array(bytes)
  for (let index = 0; index < bytes; index++) encoded[index] = number >>> (8 * (bytes - 1 - index))
  return encoded
}

export const u8 = (number: number): Uint8Array => encodeNumber(number, 1)
export const u16 = (number: number): Uint8Array => encodeNumber(number, 2)
export const u32 = (number: number): Uint8Array => encodeNumber(number, 4)

export function u64(number: number): Uint8Array {
  if (!Number.isSafeInteger(number) || number < 0) throw new CryptoError('too_large')
  return concatBytes(u32(Math.floor(number / 2 ** 32)), u32(number % 2 ** 32))
}

export const vec8 = (bytes: Uint8Array): Uint8Array => concatBytes(u8(bytes.length), bytes)
export const vec16 = (bytes: Uint8Array): Uint8Array => concatBytes(u16(bytes.length), bytes)
export const vec32 = (bytes: Uint8Array): Uint8Array => concatBytes(u32(bytes.length), bytes)

/** Encodes a byte 0 for no value, or a byte 1 followed by the value. */
export const encodeOptional = <Value>(
  value: Value | null | undefined,
  encode: (value: Value) => Uint8Array,
): Uint8Array => (value === null || value === undefined ? u8(0) : concatBytes(u8(1), encode(value)))
