import { openXChaCha, type Random, sealXChaCha, xchachaNonceBytes } from '../../../crypto/provider.ts'
import { concatBytes } from '../../../util/bytes.ts'

/** Returns `nonce 24 || XChaCha20-Poly1305` with a fresh random nonce. `aad` binds the bytes to their purpose. */
export function sealBytes(key: Uint8Array, plaintext: Uint8Array, aad: Uint8Array, random: Random): Uint8Array {
  const nonce = random(xchachaNonceBytes)
  return concatBytes(nonce, sealXChaCha(key, nonce, plaintext, aad))
}

/** Returns undefined if the key is wrong, or `sealed` or `aad` was changed. */
export const openBytes = (key: Uint8Array, sealed: Uint8Array, aad: Uint8Array): Uint8Array | undefined =>
  openXChaCha(key, sealed.subarray(0, xchachaNonceBytes), sealed.subarray(xchachaNonceBytes), aad)
