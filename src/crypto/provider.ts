import * as reference from './primitives.ts'

/** The primitives that a runtime may serve natively. They give the results and errors of primitives.ts. */
export type CryptoProvider = Pick<
  typeof reference,
  | 'sha256'
  | 'sha512'
  | 'hmacSha256'
  | 'hkdfSha256'
  | 'encryptAes256Cbc'
  | 'decryptAes256Cbc'
  | 'sealXChaCha'
  | 'openXChaCha'
  | 'ed25519PublicKey'
  | 'signEd25519'
  | 'verifyEd25519'
  | 'x25519PublicKey'
  | 'x25519SharedSecret'
>

/** The provider of browsers, and the reference for every other one. */
export const referenceProvider: CryptoProvider = reference

let provider = referenceProvider

/** Chooses the provider. An entry point calls this when it is loaded, before any other code runs. */
export function useProvider(chosen: CryptoProvider): void {
  provider = chosen
}

export const sha256: CryptoProvider['sha256'] = (...parts) => provider.sha256(...parts)

export const sha512: CryptoProvider['sha512'] = (...parts) => provider.sha512(...parts)

export const hmacSha256: CryptoProvider['hmacSha256'] = (key, ...parts) => provider.hmacSha256(key, ...parts)

export const hkdfSha256: CryptoProvider['hkdfSha256'] = (salt, secret, info, length) =>
  provider.hkdfSha256(salt, secret, info, length)

export const encryptAes256Cbc: CryptoProvider['encryptAes256Cbc'] = (key, iv, plaintext) =>
  provider.encryptAes256Cbc(key, iv, plaintext)

export const decryptAes256Cbc: CryptoProvider['decryptAes256Cbc'] = (key, iv, ciphertext) =>
  provider.decryptAes256Cbc(key, iv, ciphertext)

export const sealXChaCha: CryptoProvider['sealXChaCha'] = (key, nonce, plaintext, aad) =>
  provider.sealXChaCha(key, nonce, plaintext, aad)

export const openXChaCha: CryptoProvider['openXChaCha'] = (key, nonce, ciphertext, aad) =>
  provider.openXChaCha(key, nonce, ciphertext, aad)

export const ed25519PublicKey: CryptoProvider['ed25519PublicKey'] = seed => provider.ed25519PublicKey(seed)

export const signEd25519: CryptoProvider['signEd25519'] = (seed, message) => provider.signEd25519(seed, message)

export const verifyEd25519: CryptoProvider['verifyEd25519'] = (publicKey, message, signature) =>
  provider.verifyEd25519(publicKey, message, signature)

export const x25519PublicKey: CryptoProvider['x25519PublicKey'] = privateKey => provider.x25519PublicKey(privateKey)

export const x25519SharedSecret: CryptoProvider['x25519SharedSecret'] = (privateKey, publicKey) =>
  provider.x25519SharedSecret(privateKey, publicKey)

export {
  type Argon2Cost,
  argon2id,
  constantTimeEqual,
  decapsulateKem,
  encapsulateKem,
  isKemKey,
  isPrimeOrderPoint,
  isX25519Key,
  kemKeyPair,
  type Random,
  randomBytes,
  toX25519PrivateKey,
  toX25519PublicKey,
  type Verify,
  wipe,
  xchachaNonceBytes,
} from './primitives.ts'
