import t from 'tap'
import { CryptoError } from '../../../src/crypto/errors.ts'
import {
  decodeMessage,
  encodeHeader,
  encodeOffer,
  encodeOfferDeclined,
  encodePrekeyHeader,
  encodeRatchetMessage,
} from '../../../src/crypto/messages/message.ts'
import { concatBytes } from '../../../src/util/bytes.ts'
import { makeAgent, serve } from '../../../tools/clients/crypto-agents.ts'

const malformed = new CryptoError('malformed')
const sid = new Uint8Array(16).fill(1)
const key = new Uint8Array(32).fill(2)
const header = { dh: key, pn: 3, n: 4 }
const sealed = new Uint8Array(64).fill(5)
const ratchet = encodeRatchetMessage(sid, encodeHeader(header), sealed)
const prekeyHeaders = {
  1: { suite: 1, identity: key, ephemeral: key, signedPrekeyId: 1, oneTimeKeyId: 0, kem: null },
  2: {
    suite: 2,
    identity: key,
    ephemeral: key,
    signedPrekeyId: 1,
    oneTimeKeyId: 9,
    kem: { id: 2, ciphertext: new Uint8Array(1088) },
  },
} as const
const offerId = new Uint8Array(16).fill(6)
const signature = new Uint8Array(64).fill(5)
const served = serve(makeAgent('bob', 'alice'))

const bodies = {
  ratchet,
  'prekey of suite 1': concatBytes(encodePrekeyHeader(prekeyHeaders[1]), ratchet),
  'prekey of suite 2': concatBytes(encodePrekeyHeader(prekeyHeaders[2]), ratchet),
  'unsigned offer': encodeOffer({ offerId, expiresAtS: 77, served, signature: null }),
  offer: encodeOffer({ offerId, expiresAtS: 77, served, signature }),
  'offer declined': encodeOfferDeclined(offerId, 1),
}

t.test('each type is decoded unchanged', async t => {
  const inner = { type: 'ratchet', sid, header, sealed }
  t.strictSame(decodeMessage(bodies.ratchet), inner)
  for (const suite of [1, 2] as const) {
    t.strictSame(decodeMessage(bodies[`prekey of suite ${suite}`]), {
      type: 'prekey',
      header: prekeyHeaders[suite],
      headerBytes: encodePrekeyHeader(prekeyHeaders[suite]),
      inner,
    })
  }
  const fields = { offerId, expiresAtS: 77, served }
  t.strictSame(decodeMessage(bodies['unsigned offer']), { type: 'offer', ...fields, signature: null })
  t.strictSame(decodeMessage(bodies.offer), { type: 'offer', ...fields, signature })
  t.strictSame(decodeMessage(bodies['offer declined']), { type: 'offer-declined', offerId, reason: 1 })
})

t.test('the prekey header has 76 or 1168 bytes', async t => {
  t.equal(encodePrekeyHeader(prekeyHeaders[1]).length, 76)
  t.equal(encodePrekeyHeader(prekeyHeaders[2]).length, 1168)
})

for (const [name, body] of Object.entries(bodies)) {
  t.test(`trailing and missing bytes are refused: ${name}`, async t => {
    t.throws(() => decodeMessage(concatBytes(body, Uint8Array.of(0))), malformed)
    for (let length = 0; length < body.length; length += 1 + Math.floor(body.length / 90)) {
      // A sealed part shorter by whole blocks parses; the tag check refuses it.
      const whole = !name.startsWith('offer') && length >= body.length - 16 && (body.length - length) % 16 === 0
      if (!whole) t.throws(() => decodeMessage(body.subarray(0, length)), malformed, `${length} bytes`)
    }
  })
}

t.test('unknown versions, types and suites are refused', async t => {
  for (const [at, byte] of [
    [0, 0],
    [0, 2],
    [1, 0],
    [1, 5],
  ] as const) {
    const body = ratchet.slice()
    body[at] = byte
    t.throws(() => decodeMessage(body), malformed, `byte ${at} is ${byte}`)
  }
  for (const suite of [0, 3, 256]) {
    const body = bodies['prekey of suite 1'].slice()
    new DataView(body.buffer).setUint16(2, suite)
    t.throws(() => decodeMessage(body), malformed, `suite ${suite}`)
  }
})

t.test('X25519 values of 2^255-19 and above are refused in every field', async t => {
  const high = new Uint8Array(32).fill(255)
  for (const [body, at] of [
    [ratchet, 18],
    [bodies['prekey of suite 1'], 36],
    [bodies['prekey of suite 1'], 76 + 18],
  ] as const) {
    const damaged = body.slice()
    damaged.set(high, at)
    t.throws(() => decodeMessage(damaged), malformed, `at ${at}`)
  }
})

t.test('key ids are 1 to 2^31-1, and 0 only for an absent one-time key', async t => {
  const withIds = (ids: { signedPrekeyId?: number; oneTimeKeyId?: number; kemId?: number }) => {
    const { kemId = 2, ...others } = ids
    const kem = { ...prekeyHeaders[2].kem, id: kemId }
    return concatBytes(encodePrekeyHeader({ ...prekeyHeaders[2], ...others, kem }), ratchet)
  }
  t.equal(decodeMessage(withIds({ oneTimeKeyId: 0 })).type, 'prekey')
  for (const ids of [
    { signedPrekeyId: 0 },
    { kemId: 0 },
    { signedPrekeyId: 2 ** 31 },
    { oneTimeKeyId: 2 ** 31 },
    { kemId: 2 ** 31 },
  ]) {
    t.throws(() => decodeMessage(withIds(ids)), malformed, JSON.stringify(ids))
  }
})

t.test('a body above 90 KiB is refused before it is parsed', async t => {
  t.throws(() => decodeMessage(new Uint8Array(92_161)), new CryptoError('too_large'))
})
