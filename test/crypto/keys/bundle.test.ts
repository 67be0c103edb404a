import t from 'tap'
import { CryptoError } from '../../../src/crypto/errors.ts'
import {
  type Bundle,
  decodeBundle,
  decodeServed,
  encodeBundle,
  encodeServed,
  signKemKey,
  verifyKemKey,
} from '../../../src/crypto/keys/bundle.ts'
import { generateIdentity, sign } from '../../../src/crypto/keys/identity.ts'
import { labels } from '../../../src/crypto/labels.ts'
import { concatBytes } from '../../../src/util/bytes.ts'
import { makeAgent, seededRandom, serve, startMs } from '../../../tools/clients/crypto-agents.ts'
import { verifyNative } from '../../fixtures/native-ed25519.ts'

const bob = makeAgent('bob', 'alice')
const { identity } = bob.self
const served = serve(bob)
const genuine: Bundle = decodeBundle(served.bundle)
const malformed = new CryptoError('malformed')
const badBundle = new CryptoError('bad_bundle')

t.test('a bundle is decoded unchanged with either engine', async t => {
  for (const verify of [undefined, verifyNative]) {
    const bundle = decodeBundle(served.bundle, verify)
    t.match(bundle, { address: 'bob@localhost', seq: startMs / 1000, issuedAtS: startMs / 1000, suites: [2, 1] })
    t.strictSame(encodeBundle(identity, bundle), served.bundle)
  }
})

t.test('a bundle with any flipped bit is refused', async t => {
  for (let at = 0; at < served.bundle.length; at += 13) {
    const damaged = served.bundle.slice()
    damaged[at] = (damaged[at] ?? 0) ^ 0x10
    t.throws(() => decodeBundle(damaged, verifyNative), CryptoError, `byte ${at}`)
  }
})

t.test('missing and trailing bytes are refused, signed or not', async t => {
  t.throws(() => decodeBundle(served.bundle.subarray(0, -1)), malformed)
  t.throws(() => decodeBundle(new Uint8Array(10)), malformed)
  const signed = concatBytes(served.bundle.subarray(0, -64), Uint8Array.of(0))
  t.throws(() => decodeBundle(concatBytes(signed, sign(identity, labels.bundle, signed))), malformed)
})

t.test('a prekey without a signature by the identity as a prekey is refused, even in a signed bundle', async t => {
  const other = generateIdentity(seededRandom('other'))
  const { signedPrekey, lastResortKem } = genuine
  const forged = { ...signedPrekey, signature: sign(other, labels.prekey, signedPrekey.key) }
  t.throws(() => decodeBundle(encodeBundle(identity, { ...genuine, signedPrekey: forged })), badBundle)
  const kem = { ...lastResortKem, signature: signKemKey(other, lastResortKem.key) }
  t.throws(() => decodeBundle(encodeBundle(identity, { ...genuine, lastResortKem: kem })), badBundle)
  t.throws(() => decodeBundle(encodeBundle(other, genuine)), badBundle)
})

t.test('ids outside 1 to 2^31-1, bad keys and bad suite lists are refused', async t => {
  const withId = (id: number) => encodeBundle(identity, { ...genuine, signedPrekey: { ...genuine.signedPrekey, id } })
  for (const id of [0, 2 ** 31, 2 ** 32 - 1]) t.throws(() => decodeBundle(withId(id)), malformed, `id ${id}`)
  t.equal(decodeBundle(withId(2 ** 31 - 1)).signedPrekey.id, 2 ** 31 - 1)
  const key = new Uint8Array(32).fill(255)
  const signedPrekey = { ...genuine.signedPrekey, key }
  t.throws(() => decodeBundle(encodeBundle(identity, { ...genuine, signedPrekey })), malformed)
  for (const suites of [[], [0], [2, 2]]) {
    t.throws(() => decodeBundle(encodeBundle(identity, { ...genuine, suites })), malformed, `suites ${suites}`)
  }
})

t.test('a bundle with a suite of a later version is accepted', async t => {
  t.strictSame(decodeBundle(encodeBundle(identity, { ...genuine, suites: [7, 2] })).suites, [7, 2])
})

t.test('an identity key with torsion or of small order is refused in a bundle', async t => {
  const bytes = served.bundle.slice()
  bytes.set(new Uint8Array(32), 1 + 1 + 'bob@localhost'.length)
  t.throws(() => decodeBundle(bytes), new CryptoError('bad_key'))
})

t.test('served keys are decoded unchanged, with and without one-time keys', async t => {
  const { oneTimeKey, oneTimeKemKey, ...bare } = served
  for (const some of [
    served,
    bare,
    { ...bare, ...(oneTimeKey && { oneTimeKey }) },
    { ...bare, ...(oneTimeKemKey && { oneTimeKemKey }) },
  ]) {
    t.strictSame(decodeServed(encodeServed(some)), some)
  }
  t.throws(() => decodeServed(concatBytes(encodeServed(served), Uint8Array.of(0))), malformed)
  t.throws(() => decodeServed(encodeServed(served).subarray(0, -1)), malformed)
  const flagged = encodeServed(bare)
  flagged[flagged.length - 1] = 2
  t.throws(() => decodeServed(flagged), malformed)
})

t.test("a one-time KEM key is valid only with its owner's signature", async t => {
  const kem = served.oneTimeKemKey
  if (!kem) throw new Error('no one-time KEM key was served')
  t.ok(verifyKemKey(identity.publicKey, kem.key, kem.signature))
  t.ok(verifyKemKey(identity.publicKey, kem.key, kem.signature, verifyNative))
  t.notOk(verifyKemKey(identity.publicKey, genuine.lastResortKem.key, kem.signature))
  t.notOk(verifyKemKey(generateIdentity(seededRandom('other')).publicKey, kem.key, kem.signature))
})
