import { encodeUtf8 } from '../../util/bytes.ts'
import type { IdentityKey } from '../identity-key.ts'
import { sha512 } from '../primitives.ts'
import { encodeIdentityKey } from './identity.ts'

export type Party = { readonly identity: IdentityKey; readonly address: string }

/** SHA-512 hashes per half: makes a key with a chosen number costly to find. */
const hashes = 5200

/** Five bytes, big-endian, as five digits. */
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
 * The 60 digits that two people compare; the same on both sides (docs/E2E.md section 11, libsignal's v1).
 * Takes tens of milliseconds. Agents compare the two full identity keys instead.
 */
export const safetyNumber = (one: Party, other: Party): string => [half(one), half(other)].sort().join('')
