import fc from 'fast-check'
import t from 'tap'
import { CryptoError } from '../../../src/crypto/errors.ts'
import {
  type ContentKind,
  decodeContent,
  decodeReceipt,
  decodeReset,
  encodeContent,
  encodeReceipt,
  encodeReset,
  paddedLength,
} from '../../../src/crypto/messages/content.ts'
import { concatBytes } from '../../../src/util/bytes.ts'

const id = new Uint8Array(16).fill(7)
const malformed = new CryptoError('malformed')
const kinds: readonly ContentKind[] = ['application', 'empty', 'reset', 'receipt', 'room', 'mls']
const make = (length: number, kind: ContentKind = 'application') =>
  encodeContent({ id, kind, sentAtMs: 1, body: new Uint8Array(length).fill(9) })

t.test('content is decoded unchanged', async t => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 3000 }),
      fc.constantFrom(...kinds),
      fc.maxSafeNat(),
      (body, kind, sentAtMs) => {
        const { id: sameId, ...same } = decodeContent(encodeContent({ id, kind, sentAtMs, body }))
        t.strictSame([sameId, same], [id, { kind, sentAtMs, body }])
      },
    ),
    { numRuns: 50 },
  )
})

t.test('the layout is that of E2E.md section 6', async t => {
  const bytes = make(2, 'receipt')
  const head = concatBytes(id, Uint8Array.of(1, 3, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 9, 9, 0x80))
  t.strictSame(bytes, concatBytes(head, new Uint8Array(256 - head.length)))
})

t.test('padded lengths follow Padmé, from 256 bytes up', async t => {
  for (const [length, padded] of [
    [1, 256],
    [256, 256],
    [257, 272],
    [272, 272],
    [1000, 1024],
    [1025, 1088],
    [65_567, 67_584],
  ] as const) {
    t.equal(paddedLength(length), padded)
  }
  t.equal(make(225).length, 256)
  t.equal(make(226).length, 272)
})

t.test('a body has at most 64 KiB, for the sender and for the recipient', async t => {
  t.equal(decodeContent(make(65_536)).body.length, 65_536)
  t.throws(() => make(65_537), new CryptoError('too_large'))
  const large = concatBytes(
    id,
    Uint8Array.of(1, 0),
    new Uint8Array(8),
    Uint8Array.of(0, 1, 0, 1),
    new Uint8Array(65_537),
    Uint8Array.of(0x80),
  )
  t.throws(
    () => decodeContent(concatBytes(large, new Uint8Array(paddedLength(large.length) - large.length))),
    malformed,
  )
})

t.test('unknown versions, wrong padding and missing bytes are refused', async t => {
  const damage = (at: number, byte: number) => {
    const bytes = make(5)
    bytes[at] = byte
    return bytes
  }
  t.throws(() => decodeContent(damage(16, 2)), malformed, 'version')
  t.throws(() => decodeContent(damage(18, 255)), malformed, 'time beyond a safe integer')
  t.throws(() => decodeContent(damage(35, 0x81)), malformed, 'padding mark')
  t.throws(() => decodeContent(damage(200, 1)), malformed, 'padding')
  t.throws(() => decodeContent(make(5).subarray(0, 255)), malformed, 'short')
  t.throws(() => decodeContent(concatBytes(make(5), new Uint8Array(8))), malformed, 'not the next size')
  t.throws(() => decodeContent(new Uint8Array()), malformed, 'empty')
})

t.test('resets and receipts are decoded unchanged, and any other bytes are refused', async t => {
  for (const reason of ['undecryptable', 'renewal', 'rollback'] as const) {
    t.strictSame(decodeReset(encodeReset({ reason, ids: [id, id] })), { reason, ids: [id, id] })
  }
  for (const state of ['delivered', 'read'] as const) {
    t.strictSame(decodeReceipt(encodeReceipt({ state, ids: [id] })), { state, ids: [id] })
  }
  t.strictSame(encodeReset({ reason: 'renewal', ids: [] }), Uint8Array.of(2, 0, 0))
  t.throws(() => decodeReset(Uint8Array.of(4, 0, 0)), malformed)
  t.throws(() => decodeReceipt(Uint8Array.of(3, 0, 0)), malformed)
  t.throws(() => decodeReset(Uint8Array.of(1, 0, 1)), malformed)
  t.throws(() => decodeReset(Uint8Array.of(1, 0, 0, 0)), malformed)
})

t.test('a kind of a later version is decoded and named by its number', async t => {
  const bytes = make(5)
  bytes[17] = 6
  t.match(decodeContent(bytes), { kind: 'unknown-6', body: new Uint8Array(5).fill(9) })
})
