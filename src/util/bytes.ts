import { base64urlnopad } from '@scure/base'

/** Joins byte strings into a new one. */
export const concatBytes = (...parts: readonly Uint8Array[]): Uint8Array => joinBytes(parts)

/** As `concatBytes`, for lists of any length: the number of call arguments is limited. */
export function joinBytes(parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((length, part) => length + part.length, 0))
  let offset = 0
  for (const part of parts) {
    joined.set(part, offset)
    offset += part.length
  }
  return joined
}

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export const encodeUtf8 = (text: string): Uint8Array => encoder.encode(text)

/** @throws {TypeError} if the bytes are not UTF-8. */
export const decodeUtf8 = (bytes: Uint8Array): string => decoder.decode(bytes)

// Buffer is many times faster than JavaScript code. Browsers do not have it, and their polyfills know no base64url.
const buffer = globalThis.Buffer?.isEncoding?.('base64url') ? globalThis.Buffer : undefined

/** base64url without padding (RFC 4648 section 5). */
export const encodeBase64Url = (bytes: Uint8Array): string =>
  buffer
    ? buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64url')
    : base64urlnopad.encode(bytes)

/**
 * Decodes canonical base64url without padding.
 * @throws {RangeError} on any other character, on padding, and on non-zero trailing bits.
 */
export function decodeBase64Url(text: string): Uint8Array {
  if (!buffer) return base64urlnopad.decode(text)
  const bytes = buffer.from(text, 'base64url')
  if (bytes.toString('base64url') !== text) throw new RangeError('not base64url without padding')
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

export function isBase64Url(text: string): boolean {
  try {
    decodeBase64Url(text)
    return true
  } catch {
    return false
  }
}

export const toHex = (bytes: Uint8Array): string =>
  Array.from(bytes, byte => byte.toString(16).padStart(2, '0')).join('')

export const equalBytes = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, index) => byte === b[index])
