import { encodeUtf8 } from '../../util/bytes.ts'
import type { IdentityKey } from '../identity-key.ts'
import { sha512 } from '../provider.ts'
import { encodeIdentityKey } from './identity.ts'

export type Party = { readonly identity: IdentityKey; readonly address: string }

/** SHA-512 iterations per half: makes it costly to find a key with a chosen number. */
const hashes = 5200

/** Maps five bytes, big-endian, to five digits. */
function digits(group: Uint8Array): string {
  const number = group.reduce((sum, byte) => sum * 256 + byte, 0)
  return String(number % 100_000).padStart(5, '0')
}

function half({ identity, address }: Party): string {
  const key = encodeIdentityKey(identity)
  let hash = sha512(new Uint8Array(2), key, encodeUtf8(address), key)
  for (let count = 1; count < hashes; count++) hash = sha512(hash, key)
  return [0, 5, 10, 15, 20, 25].map(at => digits(hash.subarray(at, at + 5))).join('')
}

/**
 * Returns the 60 digits that two users compare (docs/E2E.md section 11, libsignal's v1). Both sides get the same.
 * It takes tens of milliseconds. Agents compare the two full identity keys instead.
 */
export const safetyNumber = (one: Party, other: Party): string => [half(one), half(other)].sort().join('')
