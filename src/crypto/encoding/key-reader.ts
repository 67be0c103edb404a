import { CryptoError } from '../errors.ts'
import { cryptoLimits } from '../limits.ts'
import { isX25519Key } from '../provider.ts'
import type { ByteReader } from './byte-reader.ts'

/** Reads a raw X25519 key. @throws {CryptoError} `malformed` at or above 2^255-19. */
export function readX25519Key(reader: ByteReader): Uint8Array {
  const key = reader.take(32)
  if (!isX25519Key(key)) throw new CryptoError('malformed')
  return key
}

/** Reads the id of a key: 1 to 2^31-1. */
export function readKeyId(reader: ByteReader): number {
  const id = readOptionalKeyId(reader)
  if (id === 0) throw new CryptoError('malformed')
  return id
}

/** Reads the id of a key, or 0 for no key. */
export function readOptionalKeyId(reader: ByteReader): number {
  const id = reader.u32()
  if (id > cryptoLimits.maxKeyId) throw new CryptoError('malformed')
  return id
}
