import { createPublicKey, type KeyObject, verify } from 'node:crypto'
import { encodeBase64Url } from '../../util/bytes.ts'

/**
 * Node's Ed25519 verifies without the cofactor and accepts canonical S only, as PROTOCOL.md section 5 requires. The
 * caller must have checked the key with `checkIdentityKey`: Node does not check it.
 */
const openKey = (publicKey: Uint8Array): KeyObject =>
  createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: encodeBase64Url(publicKey) }, format: 'jwk' })

/** Verifies on the calling thread, in about 90 µs. */
export const verifyEd25519 = (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean =>
  verify(null, message, openKey(publicKey), signature)

/**
 * Verifies in the thread pool. This costs the event loop about 12 µs instead of 90, which matters when many agents log
 * in.
 */
export function verifyEd25519InPool(
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  return new Promise((resolve, reject) => {
    verify(null, message, openKey(publicKey), signature, (error, valid) => (error ? reject(error) : resolve(valid)))
  })
}
