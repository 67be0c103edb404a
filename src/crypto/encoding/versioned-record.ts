import { CryptoError } from '../errors.ts'
import { ByteReader } from './byte-reader.ts'

/**
 * Reads a stored record: a version byte, then the fields that `read` decodes, with no bytes left over.
 * @throws {CryptoError} `bad_version`, or `bad_state` for a damaged record.
 */
export function readVersionedRecord<Value>(
  bytes: Uint8Array,
  version: number,
  read: (reader: ByteReader) => Value,
): Value {
  const reader = new ByteReader(bytes)
  try {
    if (reader.u8() !== version) throw new CryptoError('bad_version')
    const value = read(reader)
    reader.end()
    return value
  } catch (error) {
    if (error instanceof CryptoError && error.code === 'malformed') throw new CryptoError('bad_state')
    throw error
  }
}
