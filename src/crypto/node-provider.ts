import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  getCiphers,
  hkdfSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto'
import { concatBytes, decodeBase64Url, encodeBase64Url, equalBytes } from '../util/bytes.ts'
import { CryptoError } from './errors.ts'
import { isX25519Key, xchachaSubkey } from './primitives.ts'
import { type CryptoProvider, referenceProvider } from './provider.ts'

type Curve = 'Ed25519' | 'X25519'

/** PKCS #8 up to the 32 bytes of the private key (RFC 8410 section 7). */
const pkcs8 = {
  Ed25519: Buffer.from('302e020100300506032b657004220420', 'hex'),
  X25519: Buffer.from('302e020100300506032b656e04220420', 'hex'),
}

const fromPkcs8 = (crv: Curve, key: Uint8Array): KeyObject =>
  createPrivateKey({ key: Buffer.concat([pkcs8[crv], key]), format: 'der', type: 'pkcs8' })

const fromJwk = (crv: Curve, key: Uint8Array): KeyObject =>
  createPrivateKey({ key: { kty: 'OKP', crv, x: '', d: encodeBase64Url(key) }, format: 'jwk' })

/** Node 20 takes a private JWK without its public half, and reads PKCS #8 ten times slower. Newer versions do not. */
function takesHalfJwk(): boolean {
  try {
    fromJwk('X25519', new Uint8Array(32))
    return true
  } catch {
    return false
  }
}

const openPrivateKey = takesHalfJwk() ? fromJwk : fromPkcs8

const openPublicKey = (crv: Curve, key: Uint8Array): KeyObject =>
  createPublicKey({ key: { kty: 'OKP', crv, x: encodeBase64Url(key) }, format: 'jwk' })

function publicKeyOf(crv: Curve, privateKey: Uint8Array): Uint8Array {
  const { x } = openPrivateKey(crv, privateKey).export({ format: 'jwk' })
  return decodeBase64Url(x ?? '')
}

/** A plain view: a Buffer has other methods of the same names. */
const plain = ({ buffer, byteOffset, length }: Buffer): Uint8Array => new Uint8Array(buffer, byteOffset, length)

function hash(algorithm: 'sha256' | 'sha512', parts: readonly Uint8Array[]): Uint8Array {
  const state = createHash(algorithm)
  for (const part of parts) state.update(part)
  return plain(state.digest())
}

/** Little-endian y-coordinates of the eight Ed25519 points of small order, without the sign bit. */
const smallOrder = [
  `00${'00'.repeat(31)}`,
  `01${'00'.repeat(31)}`,
  `ec${'ff'.repeat(30)}7f`,
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
].map(hex => new Uint8Array(Buffer.from(hex, 'hex')))

/** OpenSSL accepts keys that are not canonical or have small order; the reference refuses them. */
function isVerificationKey(publicKey: Uint8Array): boolean {
  const y = publicKey.slice()
  y[31] = (y[31] ?? 0) & 0x7f
  return isX25519Key(y) && !smallOrder.some(point => equalBytes(point, y))
}

const tagBytes = 16
const chacha = 'chacha20-poly1305'

/** The nonce of ChaCha20-Poly1305 inside XChaCha20-Poly1305: four zero bytes and the last eight bytes. */
const innerNonce = (nonce: Uint8Array): Uint8Array => concatBytes(new Uint8Array(4), nonce.subarray(16))

/** XChaCha20-Poly1305 over Node's ChaCha20-Poly1305. Some builds of Node, such as Electron's, do not have it. */
const nativeXChaCha: Pick<CryptoProvider, 'sealXChaCha' | 'openXChaCha'> = {
  sealXChaCha(key, nonce, plaintext, aad) {
    const cipher = createCipheriv(chacha, xchachaSubkey(key, nonce), innerNonce(nonce), { authTagLength: tagBytes })
    cipher.setAAD(aad, { plaintextLength: plaintext.length })
    return concatBytes(cipher.update(plaintext), cipher.final(), cipher.getAuthTag())
  },

  openXChaCha(key, nonce, ciphertext, aad) {
    const length = ciphertext.length - tagBytes
    if (length < 0) return undefined
    const cipher = createDecipheriv(chacha, xchachaSubkey(key, nonce), innerNonce(nonce), { authTagLength: tagBytes })
    cipher.setAAD(aad, { plaintextLength: length })
    cipher.setAuthTag(ciphertext.subarray(length))
    try {
      return concatBytes(cipher.update(ciphertext.subarray(0, length)), cipher.final())
    } catch {
      return undefined
    }
  },
}

/** The primitives from `node:crypto`, about ten times faster than JavaScript. */
export const nodeProvider: CryptoProvider = {
  ...(getCiphers().includes(chacha)
    ? nativeXChaCha
    : { sealXChaCha: referenceProvider.sealXChaCha, openXChaCha: referenceProvider.openXChaCha }),

  sha256: (...parts) => hash('sha256', parts),

  sha512: (...parts) => hash('sha512', parts),

  hmacSha256(key, ...parts) {
    const mac = createHmac('sha256', key)
    for (const part of parts) mac.update(part)
    return plain(mac.digest())
  },

  hkdfSha256: (salt, secret, info, length) => new Uint8Array(hkdfSync('sha256', secret, salt, info, length)),

  encryptAes256Cbc(key, iv, plaintext) {
    const cipher = createCipheriv('aes-256-cbc', key, iv)
    return concatBytes(cipher.update(plaintext), cipher.final())
  },

  decryptAes256Cbc(key, iv, ciphertext) {
    const cipher = createDecipheriv('aes-256-cbc', key, iv)
    return concatBytes(cipher.update(ciphertext), cipher.final())
  },

  ed25519PublicKey: seed => publicKeyOf('Ed25519', seed),

  signEd25519: (seed, message) => plain(sign(null, message, openPrivateKey('Ed25519', seed))),

  verifyEd25519: (publicKey, message, signature) =>
    publicKey.length === 32 &&
    signature.length === 64 &&
    isVerificationKey(publicKey) &&
    verify(null, message, openPublicKey('Ed25519', publicKey), signature),

  x25519PublicKey: privateKey => publicKeyOf('X25519', privateKey),

  x25519SharedSecret(privateKey, publicKey) {
    if (!isX25519Key(publicKey)) throw new CryptoError('bad_key')
    const ours = openPrivateKey('X25519', privateKey)
    try {
      const secret = plain(diffieHellman({ privateKey: ours, publicKey: openPublicKey('X25519', publicKey) }))
      if (secret.some(byte => byte !== 0)) return secret
    } catch {
      // OpenSSL refuses a zero secret itself. The check above does not rely on it.
    }
    throw new CryptoError('bad_key')
  },
}
