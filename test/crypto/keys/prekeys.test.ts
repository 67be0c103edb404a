import t from 'tap'
import { CryptoError } from '../../../src/crypto/errors.ts'
import { decodeBundle, verifyKemKey } from '../../../src/crypto/keys/bundle.ts'
import {
  generatePrekeys,
  makeBundle,
  needsRotation,
  type Prekeys,
  recoverPrekeys,
  refillPrekeys,
  rotatePrekeys,
} from '../../../src/crypto/keys/prekeys.ts'
import { decodePrekeys, encodePrekeys } from '../../../src/crypto/keys/prekeys-codec.ts'
import { x25519PublicKey } from '../../../src/crypto/provider.ts'
import { makeOffer } from '../../../src/crypto/session/offer.ts'
import { checkReplay, findPrekeys } from '../../../src/crypto/session/prekey-use.ts'
import { concatBytes } from '../../../src/util/bytes.ts'
import { dayMs, makeAgent, seededRandom, startMs } from '../../../tools/clients/crypto-agents.ts'

const bob = makeAgent('bob', 'alice')
const { identity } = bob.self
const making = (nowMs = startMs) => ({ nowMs, random: seededRandom(`prekeys ${nowMs}`) })
const none = { oneTimeKeys: 0, oneTimeKemKeys: 0 }
const filled = refillPrekeys(generatePrekeys(making()), identity, none, making().random)

const idsOf = ({ generations, oneTimeKeys, oneTimeKemKeys }: Prekeys): number[] =>
  [...generations.flatMap(g => [g.signedPrekey, g.lastResortKem]), ...oneTimeKeys, ...oneTimeKemKeys].map(
    ({ id }) => id,
  )

t.test('empty pools are filled with 100 and 20 public keys that match the private keys', async t => {
  const { prekeys, upload } = filled
  t.equal(upload.oneTimeKeys.length, 100)
  t.equal(upload.oneTimeKemKeys.length, 20)
  t.equal(new Set(idsOf(prekeys)).size, 122, 'all ids differ')
  for (const [index, { id, key }] of upload.oneTimeKeys.entries()) {
    const held = prekeys.oneTimeKeys[index]
    t.strictSame([held?.id, held && x25519PublicKey(held.privateKey)], [id, key])
  }
  for (const { key, signature } of upload.oneTimeKemKeys) t.ok(verifyKemKey(identity.publicKey, key, signature))
})

t.test('a pool is refilled below its mark and not at its mark', async t => {
  const again = (counts: typeof none) => refillPrekeys(filled.prekeys, identity, counts, making().random).upload
  t.strictSame(again({ oneTimeKeys: 50, oneTimeKemKeys: 10 }), { oneTimeKeys: [], oneTimeKemKeys: [] })
  const upload = again({ oneTimeKeys: 49, oneTimeKemKeys: 9 })
  t.equal(upload.oneTimeKeys.length, 51)
  t.equal(upload.oneTimeKemKeys.length, 11)
})

t.test('no id is used twice, and a node that forgets its pool does not make ours grow without bound', async t => {
  let { prekeys } = filled
  const seen = new Set(idsOf(prekeys))
  for (let round = 1; round <= 5; round++) {
    const next = refillPrekeys(rotatePrekeys(prekeys, making(startMs + round)), identity, none, making().random).prekeys
    const fresh = idsOf(next).filter(id => !idsOf(prekeys).includes(id))
    t.equal(fresh.length, 122)
    for (const id of fresh) t.notOk(seen.has(id))
    for (const id of fresh) seen.add(id)
    prekeys = next
  }
  t.equal(prekeys.oneTimeKeys.length, 400)
  t.equal(prekeys.oneTimeKemKeys.length, 80)
})

t.test('ids end before 2^31', async t => {
  const last = { ...filled.prekeys, nextId: 2 ** 31 - 1 }
  t.throws(() => rotatePrekeys(last, making()), new CryptoError('prekeys_exhausted'))
  t.throws(() => refillPrekeys(last, identity, none, making().random), new CryptoError('prekeys_exhausted'))
})

t.test('a bundle verifies, and its seq only increases, even if the clock is set back', async t => {
  const first = makeBundle(filled.prekeys, bob.self, startMs)
  const second = makeBundle(first.prekeys, bob.self, startMs - dayMs)
  const [one, two] = [decodeBundle(first.bundle), decodeBundle(second.bundle)]
  t.equal(one.address, 'bob@localhost')
  t.equal(one.seq, startMs / 1000)
  t.equal(two.seq, one.seq + 1)
})

t.test('prekeys rotate after 7 days, and old private keys stay for 30 more days', async t => {
  const { prekeys } = filled
  t.notOk(needsRotation(prekeys, startMs + 7 * dayMs - 1))
  t.ok(needsRotation(prekeys, startMs + 7 * dayMs))
  const rotated = rotatePrekeys(prekeys, making(startMs + 7 * dayMs))
  t.notOk(needsRotation(rotated, startMs + 7 * dayMs))
  const ids = (at: number) =>
    rotatePrekeys(rotated, making(startMs + at * dayMs)).generations.map(g => g.signedPrekey.id)
  t.ok(ids(36).includes(1))
  t.notOk(ids(37).includes(1))
})

t.test('old private keys stay for the mailbox lifetime and 7 days if that is longer', async t => {
  const rotated = rotatePrekeys(filled.prekeys, making())
  const ids = (at: number) =>
    rotatePrekeys(rotated, { ...making(startMs + at * dayMs), mailboxLifetimeMs: 60 * dayMs }).generations.map(
      g => g.signedPrekey.id,
    )
  t.ok(ids(66).includes(1))
  t.notOk(ids(67).includes(1))
})

t.test('after a restore from an older copy no old key is left and no id is reused', async t => {
  const recovered = recoverPrekeys(filled.prekeys, making(startMs + 1))
  t.equal(recovered.generations.length, 1)
  t.strictSame([recovered.oneTimeKeys, recovered.oneTimeKemKeys], [[], []])
  t.ok(Math.min(...idsOf(recovered)) > filled.prekeys.nextId + 1_000_000)
  t.equal(makeBundle(recovered, bob.self, 0).prekeys.seq, recovered.seq + 1)
})

t.test('17.15 two copies of one state give their new keys different ids', async t => {
  const [one, other] = [startMs, startMs + 1].map(nowMs => recoverPrekeys(filled.prekeys, making(nowMs)).nextId)
  t.not(one, other)
})

const header = (signedPrekeyId: number, kemId: number, oneTimeKeyId = 0) => ({
  suite: 2 as const,
  identity: identity.publicKey,
  ephemeral: new Uint8Array(32).fill(9),
  signedPrekeyId,
  oneTimeKeyId,
  kem: { id: kemId, ciphertext: new Uint8Array(1088) },
})

t.test('a last-resort KEM key is valid only with the signed prekey of the same bundle', async t => {
  const rotated = rotatePrekeys(filled.prekeys, making(startMs + 1))
  const [current] = rotated.generations
  t.equal(findPrekeys(rotated, header(1, 2)).generation.signedPrekey.id, 1)
  t.throws(() => findPrekeys(rotated, header(current.signedPrekey.id, 2)), new CryptoError('undecryptable'))
  t.throws(() => findPrekeys(rotated, header(1, 2, 9_999)), new CryptoError('undecryptable'))
  t.throws(() => findPrekeys(rotated, header(9_999, 2)), new CryptoError('undecryptable'))
})

t.test('a full replay list refuses further sessions and requires a rotation at once', async t => {
  const [current] = filled.prekeys.generations
  const replays = Array.from({ length: 4096 }, (_, index) => {
    const sid = new Uint8Array(16)
    new DataView(sid.buffer).setUint32(0, index)
    return sid
  })
  const almost: Prekeys = { ...filled.prekeys, generations: [{ ...current, replays: replays.slice(1) }] }
  const full: Prekeys = { ...filled.prekeys, generations: [{ ...current, replays }] }
  const sid = new Uint8Array(16).fill(255)
  t.doesNotThrow(() => checkReplay(findPrekeys(almost, header(1, 2)), sid))
  t.notOk(needsRotation(almost, startMs))
  t.throws(() => checkReplay(findPrekeys(full, header(1, 2)), sid), new CryptoError('prekeys_exhausted'))
  t.ok(needsRotation(full, startMs))
  t.throws(() => checkReplay(findPrekeys(full, header(1, 2)), new Uint8Array(16)), new CryptoError('undecryptable'))
  t.notOk(needsRotation(rotatePrekeys(full, making(startMs)), startMs))
  t.strictSame(decodePrekeys(encodePrekeys(full)), full)
})

t.test('the stored record is decoded unchanged, and any other bytes are refused', async t => {
  const offered = makeOffer(rotatePrekeys(filled.prekeys, making(startMs + 1)), {
    self: bob.self,
    to: 'alice@localhost',
    lifetimeMs: 30_000,
    ...making(),
  }).prekeys
  const bytes = encodePrekeys(offered)
  t.strictSame(decodePrekeys(bytes), offered)
  t.throws(() => decodePrekeys(concatBytes(bytes, Uint8Array.of(0))), new CryptoError('bad_state'))
  t.throws(() => decodePrekeys(bytes.subarray(0, -1)), new CryptoError('bad_state'))
  t.throws(() => decodePrekeys(new Uint8Array()), new CryptoError('bad_state'))
  bytes[0] = 2
  t.throws(() => decodePrekeys(bytes), new CryptoError('bad_version'))
})
