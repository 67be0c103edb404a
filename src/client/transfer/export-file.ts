import * as Type from 'typebox'
import { ByteReader, readAll } from '../../crypto/encoding/byte-reader.ts'
import { u32, vec16, vec32 } from '../../crypto/encoding/byte-writer.ts'
import type { Argon2Cost, Random } from '../../crypto/provider.ts'
import { concatBytes, decodeUtf8, encodeUtf8, equalBytes, joinBytes } from '../../util/bytes.ts'
import { chooseDerivation, Derivation, deriveKey, exportCost, wantedSecret } from '../state/encryption/derivation.ts'
import { openBytes, sealBytes } from '../state/encryption/sealed-bytes.ts'
import type { Secret } from '../state/encryption/secret.ts'
import { recordCodec } from '../state/record-codec.ts'
import { StateError } from '../state/state-error.ts'
import type { StateEntry } from '../state/state-store.ts'

/**
 * An exported state is `magic || vec32 head || nonce 24 || XChaCha20-Poly1305`. Everything before the nonce is
 * authenticated. The plaintext is a u32 count, then vec16 key and vec32 value of each record.
 */
const magic = encodeUtf8('AIMessage export\n')

const Head = recordCodec('export', Type.Object({ derivation: Derivation }))

/** @throws {StateError} `invalid` for a short passphrase or a key of the wrong length */
export function encodeExport(
  entries: readonly StateEntry[],
  secret: Secret,
  { random, cost = exportCost }: { random: Random; cost?: Argon2Cost },
): Uint8Array {
  const derivation = chooseDerivation(secret, cost, random)
  const key = deriveKey(secret, derivation)
  if (!key) throw new StateError('invalid', 'A secret must be a passphrase or a key.')
  const front = concatBytes(magic, vec32(Head.encode({ derivation })))
  return concatBytes(front, sealBytes(key, encodeEntries(entries), front, random))
}

/**
 * Decrypts an export and returns its records.
 * @param where names the file in errors
 * @throws {StateError} `unreadable`, `version` or `secret_wrong`
 */
export function decodeExport(bytes: Uint8Array, secret: Secret, where: string): StateEntry[] {
  const { front, head, sealed } = split(bytes, where)
  const { derivation } = Head.decode(head)
  const key = deriveKey(secret, derivation)
  if (!key) {
    throw new StateError(
      'secret_wrong',
      `${where} was exported with ${wantedSecret(derivation)}, but the other kind of secret was given.`,
    )
  }
  const content = openBytes(key, sealed, front)
  if (content) return readAll(content, readEntries)
  throw new StateError(
    'secret_wrong',
    `${where} cannot be decrypted: wrong passphrase or key, or the file is damaged. Nothing was imported.`,
  )
}

function split(bytes: Uint8Array, where: string): { front: Uint8Array; head: Uint8Array; sealed: Uint8Array } {
  const isExport = equalBytes(bytes.subarray(0, magic.length), magic)
  if (!isExport) throw new StateError('unreadable', `${where} is not an export of aimessage.`)
  try {
    const reader = new ByteReader(bytes.subarray(magic.length))
    const head = reader.vec32()
    const sealed = reader.rest()
    return { front: bytes.subarray(0, bytes.length - sealed.length), head, sealed }
  } catch {
    throw new StateError('unreadable', `${where} is incomplete: export again, or use another copy of the file.`)
  }
}

const encodeEntries = (entries: readonly StateEntry[]): Uint8Array =>
  joinBytes([u32(entries.length), ...entries.flatMap(([key, value]) => [vec16(encodeUtf8(key)), vec32(value)])])

const readEntries = (reader: ByteReader): StateEntry[] =>
  reader.list(reader.u32(), each => [decodeUtf8(each.vec16()), each.vec32()])
