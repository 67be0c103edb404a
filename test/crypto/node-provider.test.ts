import fc from 'fast-check'
import t from 'tap'
import { nodeProvider } from '../../src/crypto/node-provider.ts'
import { type CryptoProvider, referenceProvider } from '../../src/crypto/provider.ts'
import { toHex } from '../../src/util/bytes.ts'

/** Random cases for each primitive. `RUNS=100000` before a release. */
const numRuns = Number(process.env.RUNS ?? 200)

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })
const text = fc.uint8Array({ maxLength: 300 })

/** Field elements and scalars at the edges of their ranges, which random bytes do not reach. */
const edge = fc
  .tuple(fc.constantFrom(0, 1, 0xec, 0xed, 0xee, 0xff), fc.constantFrom(0, 0xff), fc.constantFrom(0, 0x7f, 0x80, 0xff))
  .map(([low, middle, high]) => Uint8Array.of(low, ...new Array(30).fill(middle), high))
const key = fc.oneof({ weight: 3, arbitrary: bytes(32) }, { weight: 1, arbitrary: edge })

type Outcome = string | boolean | undefined

/** A result as text, an error by its name and code. */
function outcome(run: () => Uint8Array | boolean | undefined): Outcome {
  try {
    const result = run()
    return result instanceof Uint8Array ? toHex(result) : result
  } catch (error) {
    return error instanceof Error ? `${error.name} ${'code' in error ? error.code : ''}` : String(error)
  }
}

/** Checks that both providers give the same outcome for random arguments. */
function same<Arguments extends unknown[]>(
  title: string,
  args: fc.Arbitrary<Arguments>,
  run: (provider: CryptoProvider, ...args: Arguments) => Uint8Array | boolean | undefined,
): void {
  t.test(`both providers give the same result: ${title}`, async t => {
    const property = fc.property(args, args => {
      const expected = outcome(() => run(referenceProvider, ...args))
      const actual = outcome(() => run(nodeProvider, ...args))
      return expected === actual
    })
    fc.assert(property, { numRuns })
    t.pass(`${numRuns} cases`)
  })
}

same('SHA-256', fc.tuple(text, text), (provider, one, two) => provider.sha256(one, two))
same('SHA-512', fc.tuple(text, text), (provider, one, two) => provider.sha512(one, two))
same('HMAC', fc.tuple(text, text, text), (provider, key, one, two) => provider.hmacSha256(key, one, two))
same('HKDF', fc.tuple(text, text, text, fc.integer({ min: 1, max: 200 })), (provider, salt, secret, info, length) =>
  provider.hkdfSha256(salt, secret, info, length),
)
same('AES-CBC encryption', fc.tuple(bytes(32), bytes(16), text), (provider, key, iv, plaintext) =>
  provider.encryptAes256Cbc(key, iv, plaintext),
)
same('AES-CBC decryption', fc.tuple(bytes(32), bytes(16), text), (provider, key, iv, plaintext) =>
  provider.decryptAes256Cbc(key, iv, referenceProvider.encryptAes256Cbc(key, iv, plaintext)),
)
same('XChaCha20-Poly1305 encryption', fc.tuple(bytes(32), bytes(24), text, text), (provider, key, nonce, text, aad) =>
  provider.sealXChaCha(key, nonce, text, aad),
)
same(
  'XChaCha20-Poly1305 decryption, damaged or not',
  fc.tuple(bytes(32), bytes(24), text, text, fc.option(fc.nat(2_000)), fc.nat(20)),
  (provider, key, nonce, plaintext, aad, bit, missing) => {
    const sealed = referenceProvider.sealXChaCha(key, nonce, plaintext, aad)
    if (bit !== null) sealed[(bit >> 3) % sealed.length] = (sealed[(bit >> 3) % sealed.length] ?? 0) ^ (1 << (bit & 7))
    return provider.openXChaCha(key, nonce, sealed.subarray(0, sealed.length - (missing > 17 ? missing : 0)), aad)
  },
)
same('Ed25519 public key', fc.tuple(key), (provider, seed) => provider.ed25519PublicKey(seed))
same('Ed25519 signature', fc.tuple(key, text), (provider, seed, message) => provider.signEd25519(seed, message))
same(
  'Ed25519 verification of keys, R and s at the edges',
  fc.tuple(key, text, key, key),
  (provider, publicKey, message, r, s) => provider.verifyEd25519(publicKey, message, Uint8Array.of(...r, ...s)),
)
same(
  'Ed25519 verification of signatures, damaged or not',
  fc.tuple(key, text, fc.option(fc.nat(511))),
  (provider, seed, message, bit) => {
    const signature = referenceProvider.signEd25519(seed, message)
    if (bit !== null) signature[bit >> 3] = (signature[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    return provider.verifyEd25519(referenceProvider.ed25519PublicKey(seed), message, signature)
  },
)
same('X25519 public key', fc.tuple(key), (provider, privateKey) => provider.x25519PublicKey(privateKey))
same('X25519 shared secret', fc.tuple(key, key), (provider, privateKey, publicKey) =>
  provider.x25519SharedSecret(privateKey, publicKey),
)
