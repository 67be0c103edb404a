import type { Static, TSchema } from 'typebox'
import { Compile } from 'typebox/schema'
import { decodeUtf8, encodeUtf8 } from '../../util/bytes.ts'
import { lazy } from '../../util/lazy.ts'
import { StateError } from './state-error.ts'

/** The version of every record that this codec writes. A reader refuses unknown versions. */
const version = 1

/** Makes the codec of one kind of record: JSON with a version, checked against its schema when decoded. */
export function recordCodec<T extends TSchema>(name: string, schema: T) {
  const validator = lazy(() => Compile(schema))
  return {
    schema,
    encode: (record: Static<T>): Uint8Array => encodeUtf8(JSON.stringify({ version, record })),
    /** @throws {StateError} `unreadable` or `version`. */
    decode(bytes: Uint8Array): Static<T> {
      const stored = parse(name, bytes)
      if (stored.version !== version) {
        throw new StateError(
          'version',
          `the ${name} record has version ${String(stored.version)}; this release reads ${version}: use the release that wrote it`,
        )
      }
      if (!validator().Check(stored.record)) throw unreadable(name)
      return stored.record as Static<T>
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
  throw unreadable(name)
}

const unreadable = (name: string) =>
  new StateError(
    'unreadable',
    `the ${name} record cannot be read; restore the state from a backup, or move it away and register again`,
  )
