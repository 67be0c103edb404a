import { concatBytes, encodeUtf8 } from '../../util/bytes.ts'
import { u8, vec8 } from '../encoding/byte-writer.ts'
import { CryptoError } from '../errors.ts'
import type { IdentityKey } from '../identity-key.ts'
import { labels } from '../labels.ts'
import type { Verify } from '../provider.ts'
import { type IdentityKeyPair, sign, signedBytes, verifySigned } from './identity.ts'

const purposes = { register: 1, authenticate: 2, delete: 3 } as const

/** The signed fields of a login at a node (docs/PROTOCOL.md section 5). `nonce` is 32 bytes chosen by the node. */
export type RelayAuth = {
  readonly purpose: keyof typeof purposes
  readonly domain: string
  readonly username: string
  readonly identity: IdentityKey
  readonly nonce: Uint8Array
}

function encodeFields({ purpose, domain, username, identity, nonce }: RelayAuth): Uint8Array {
  if (nonce.length !== 32 || identity.length !== 32) throw new CryptoError('malformed')
  return concatBytes(u8(purposes[purpose]), vec8(encodeUtf8(domain)), vec8(encodeUtf8(username)), identity, nonce)
}

/**
 * Returns the bytes to sign, including the label.
 * @throws {CryptoError} `malformed` unless nonce and key have 32 bytes, `too_large` for a name over 255 bytes.
 */
export const encodeRelayAuth = (auth: RelayAuth): Uint8Array => signedBytes(labels.relayAuth, encodeFields(auth))

export function signRelayAuth(identity: IdentityKeyPair, auth: Omit<RelayAuth, 'identity'>): Uint8Array {
  return sign(identity, labels.relayAuth, encodeFields({ ...auth, identity: identity.publicKey }))
}

/** `auth.identity` must have passed `checkIdentityKey` at registration. */
export const verifyRelayAuth = (auth: RelayAuth, signature: Uint8Array, verify?: Verify): boolean =>
  verifySigned(auth.identity, labels.relayAuth, encodeFields(auth), signature, verify)
