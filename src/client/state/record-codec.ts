import type { Static, TSchema } from 'typebox'
import { Compile } from 'typebox/schema'
import { decodeUtf8, encodeUtf8 } from '../../util/bytes.ts'
import { lazy } from '../../util/lazy.ts'
import { UnreadableRecordError } from './state-error.ts'

/** The version of every record that this codec writes. A reader refuses unknown versions. */
const version = 1

/**
 * Makes the codec of one kind of record: JSON with a version, checked against its schema when decoded.
 * @param isValid checks what no schema says, so that a damaged record fails here and not at its readers
 */
export function recordCodec<T extends TSchema>(
  name: string,
  schema: T,
  isValid: (record: Static<T>) => boolean = () => true,
) {
  const validator = lazy(() => Compile(schema))
  return {
    schema,
    encode: (record: Static<T>): Uint8Array => encodeUtf8(JSON.stringify({ version, record })),
    /** @throws {UnreadableRecordError} `unreadable` or `version`. */
    decode(bytes: Uint8Array): Static<T> {
      const stored = parse(name, bytes)
      if (stored.version !== version) {
        const found = `the ${name} record has version ${String(stored.version)}; this release reads ${version}`
        const text = `${found}: use the release that wrote it`
        throw new UnreadableRecordError('version', text, { bytes })
      }
      if (!validator().Check(stored.record)) throw unreadable(name, bytes)
      const record = stored.record as Static<T>
      if (!isValid(record)) throw unreadable(name, bytes)
      return record
    },
  }
}

function parse(name: string, bytes: Uint8Array): { version?: unknown; record?: unknown } {
  try {
    const stored: unknown = JSON.parse(decodeUtf8(bytes))
    if (typeof stored === 'object' && stored !== null) return stored
  } catch {
    // Falls through to the error below.
  }
  throw unreadable(name, bytes)
}

const unreadable = (name: string, bytes: Uint8Array) =>
  new UnreadableRecordError(
    'unreadable',
    `the ${name} record cannot be read; restore the state from a backup, or move it away and register again`,
    { bytes },
  )
