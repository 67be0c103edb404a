import { createCipheriv, createHash, createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import t from 'tap'
import { CryptoError } from '../../src/crypto/errors.ts'
import {
  constantTimeEqual,
  decapsulateKem,
  decryptAes256Cbc,
  ed25519PublicKey,
  encapsulateKem,
  encryptAes256Cbc,
  hkdfSha256,
  hmacSha256,
  isKemKey,
  isPrimeOrderPoint,
  kemKeyPair,
  sha256,
  sha512,
  signEd25519,
  toX25519PrivateKey,
  toX25519PublicKey,
  verifyEd25519,
  x25519PublicKey,
  x25519SharedSecret,
} from '../../src/crypto/provider.ts'
import { toHex } from '../../src/util/bytes.ts'
import { fromHex, seededRandom } from '../../tools/clients/crypto-agents.ts'
import { verifyNative } from '../fixtures/native-ed25519.ts'
import { testEachProvider } from '../fixtures/providers.ts'

const badKey = new CryptoError('bad_key')
const nine = fromHex('09'.padEnd(64, '0'))
const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })

testEachProvider(t, t => {
  t.test("hashes, HMAC and AES-CBC give the same results as Node's crypto", async () => {
    fc.assert(
      fc.property(bytes(32), bytes(16), fc.uint8Array({ maxLength: 200 }), (key, iv, message) => {
        const cipher = createCipheriv('aes-256-cbc', key, iv)
        const ciphertext = Buffer.concat([cipher.update(message), cipher.final()]).toString('hex')
        return (
          toHex(sha256(message)) === createHash('sha256').update(message).digest('hex') &&
          toHex(sha512(message)) === createHash('sha512').update(message).digest('hex') &&
          toHex(hmacSha256(key, iv, message)) === createHmac('sha256', key).update(iv).update(message).digest('hex') &&
          toHex(encryptAes256Cbc(key, iv, message)) === ciphertext &&
          toHex(decryptAes256Cbc(key, iv, fromHex(ciphertext))) === toHex(message)
        )
      }),
    )
  })

  t.test('HKDF reproduces test case 1 of RFC 5869', async t => {
    const secret = new Uint8Array(22).fill(0x0b)
    const okm = hkdfSha256(fromHex('000102030405060708090a0b0c'), secret, fromHex('f0f1f2f3f4f5f6f7f8f9'), 42)
    t.equal(toHex(okm), '3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865')
  })

  t.test('X25519 reproduces the vectors of RFC 7748 section 5.2', async t => {
    const scalar = fromHex('a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4')
    const u = fromHex('e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c')
    t.equal(toHex(x25519SharedSecret(scalar, u)), 'c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552')
    const once = '422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079'
    t.equal(toHex(x25519SharedSecret(nine, nine)), once)
    t.equal(toHex(x25519PublicKey(nine)), once)
  })

  const lowOrder = [
    '00'.repeat(32),
    '01'.padEnd(64, '0'),
    'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
    '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
    `ec${'ff'.repeat(30)}7f`,
  ]
  const nonCanonical = [
    `ed${'ff'.repeat(30)}7f`,
    `ee${'ff'.repeat(30)}7f`,
    `f6${'ff'.repeat(30)}7f`,
    `09${'00'.repeat(30)}80`,
  ]

  for (const u of [...lowOrder, ...nonCanonical]) {
    t.test(`X25519 refuses the low-order or non-canonical key ${u}`, async t => {
      t.throws(() => x25519SharedSecret(nine, fromHex(u)), badKey)
    })
  }

  t.test('Ed25519 reproduces tests 1 and 2 of RFC 8032 section 7.1', async t => {
    const cases = [
      {
        seed: '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
        key: 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
        message: '',
        signature:
          'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
      },
      {
        seed: '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
        key: '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
        message: '72',
        signature:
          '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
      },
    ]
    for (const { seed, key, message, signature } of cases) {
      t.equal(toHex(ed25519PublicKey(fromHex(seed))), key)
      t.equal(toHex(signEd25519(fromHex(seed), fromHex(message))), signature)
      t.ok(verifyEd25519(fromHex(key), fromHex(message), fromHex(signature)))
    }
  })

  type EdgeCase = {
    name: string
    publicKey: string
    message: string
    signature: string
    identity: boolean
    valid: boolean
  }
  const edgeCases: EdgeCase[] = JSON.parse(readFileSync(new URL('./ed25519-edge.json', import.meta.url), 'utf8'))

  for (const { name, publicKey, message, signature, identity, valid } of edgeCases) {
    t.test(`both Ed25519 engines give the same verdict: ${name}`, async t => {
      const [key, text, sig] = [fromHex(publicKey), fromHex(message), fromHex(signature)] as const
      const native = verifyNative(key, text, sig)
      t.equal(isPrimeOrderPoint(key), identity, 'as an identity key')
      t.equal(verifyEd25519(key, text, sig), valid, 'as a signature')
      // A key that the identity check refuses never reaches verification. For such keys Node's engine may accept more.
      t.ok(identity ? native === valid : native || !valid, "and Node's verdict fits")
    })
  }

  t.test('both Ed25519 engines give the same verdict on damaged signatures', async () => {
    const seed = seededRandom('ed25519')(32)
    const key = ed25519PublicKey(seed)
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat(511), fc.boolean(), (message, bit, damage) => {
        const signature = signEd25519(seed, message)
        if (damage) signature[bit >> 3] = (signature[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        const verdict = verifyEd25519(key, message, signature)
        return verdict === !damage && verdict === verifyNative(key, message, signature)
      }),
    )
  })

  t.test('a signature or key of a wrong length is refused', async t => {
    const seed = seededRandom('lengths')(32)
    const signature = signEd25519(seed, nine)
    t.notOk(verifyEd25519(ed25519PublicKey(seed), nine, signature.subarray(1)))
    t.notOk(verifyEd25519(ed25519PublicKey(seed).subarray(1), nine, signature))
  })

  t.test('an Ed25519 key pair converts to an X25519 key pair', async t => {
    const seed = seededRandom('conversion')(32)
    const converted = toX25519PublicKey(ed25519PublicKey(seed))
    t.equal(toHex(x25519PublicKey(toX25519PrivateKey(seed))), toHex(converted))
  })

  t.test('ML-KEM gives both sides the same secret, and a different one for a damaged ciphertext', async t => {
    const random = seededRandom('kem')
    const { publicKey, secretKey } = kemKeyPair(random(64))
    const { ciphertext, secret } = encapsulateKem(publicKey, random(32))
    t.equal(toHex(decapsulateKem(ciphertext, secretKey)), toHex(secret))
    ciphertext[7] = (ciphertext[7] ?? 0) ^ 1
    t.not(toHex(decapsulateKem(ciphertext, secretKey)), toHex(secret))
  })

  t.test('an ML-KEM key with a coefficient at or above q is refused', async t => {
    const { publicKey } = kemKeyPair(seededRandom('modulus')(64))
    t.ok(isKemKey(publicKey))
    for (const [at, low, high] of [
      [0, 0x01, 0x0d],
      [1150, 0x10, 0xd0],
    ] as const) {
      const damaged = publicKey.slice()
      damaged[at] = low
      damaged[at + 1] = high
      t.notOk(isKemKey(damaged), `q at byte ${at}`)
      t.throws(() => encapsulateKem(damaged, new Uint8Array(32)), badKey)
    }
    t.notOk(isKemKey(publicKey.subarray(1)))
  })

  t.test('the constant-time comparison returns true only for equal bytes', async t => {
    t.ok(constantTimeEqual(Uint8Array.of(1, 2), Uint8Array.of(1, 2)))
    t.notOk(constantTimeEqual(Uint8Array.of(1, 2), Uint8Array.of(1, 3)))
    t.notOk(constantTimeEqual(Uint8Array.of(1, 2), Uint8Array.of(1)))
  })
})
