import { openXChaCha, type Random, sealXChaCha, xchachaNonceBytes } from '../../../crypto/primitives.ts'
import { concatBytes } from '../../../util/bytes.ts'

/** `nonce 24 || XChaCha20-Poly1305`. The nonce is drawn anew each time; `aad` says what the bytes are for. */
export function sealBytes(key: Uint8Array, plaintext: Uint8Array, aad: Uint8Array, random: Random): Uint8Array {
  const nonce = random(xchachaNonceBytes)
  return concatBytes(nonce, sealXChaCha(key, nonce, plaintext, aad))
}

/** Nothing where the key is another one, or a bit of `sealed` or `aad`. */
export const openBytes = (key: Uint8Array, sealed: Uint8Array, aad: Uint8Array): Uint8Array | undefined =>
  openXChaCha(key, sealed.subarray(0, xchachaNonceBytes), sealed.subarray(xchachaNonceBytes), aad)
