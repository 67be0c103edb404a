import fc from 'fast-check'
import t from 'tap'
import { decodeMedia, encodeMedia } from '../../../src/client/messages/content.ts'
import { toMessage } from '../../../src/client/messages/message.ts'
import { concatBytes, encodeBase64Url, encodeUtf8 } from '../../../src/util/bytes.ts'

const magic = Uint8Array.of(0xff, 0x41, 0x49, 0x4d)
const shown = (body: Uint8Array) =>
  toMessage({ id: 'a', from: 'alice', body: encodeBase64Url(body), sentAt: 1, receivedAt: 100 }, 'first-use')

t.test('plain text and plain bytes have no header, as in older versions', async t => {
  t.strictSame(encodeMedia('hello'), encodeUtf8('hello'))
  t.strictSame(encodeMedia(Uint8Array.of(0xff, 0xd8, 0xff)), Uint8Array.of(0xff, 0xd8, 0xff))
  t.match(shown(encodeUtf8('hello')), { kind: 'application', text: 'hello', mediaType: undefined, hops: 0 })
})

t.test('decoding returns any text and any bytes unchanged', async t => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (bytes, isMarked) => {
      const data = isMarked ? concatBytes(magic, bytes) : bytes
      const { header, data: same } = decodeMedia(encodeMedia(data))
      t.strictSame([header, new Uint8Array(same)], [{}, data])
    }),
    { numRuns: 100 },
  )
})

t.test('JSON and bytes carry their media type', async t => {
  t.match(shown(encodeMedia({ json: { task: 'build', tries: [1, 2] } })), {
    mediaType: 'application/json',
    json: { task: 'build', tries: [1, 2] },
  })
  const pdf = shown(encodeMedia({ mediaType: 'application/pdf', data: Uint8Array.of(0x25, 0xff) }))
  t.match(pdf, { mediaType: 'application/pdf', text: undefined, json: undefined })
  t.strictSame(pdf.body, Uint8Array.of(0x25, 0xff))
  t.match(shown(encodeMedia({ mediaType: 'text/markdown; charset=utf-8', data: '# hi' })), { text: '# hi' })
})

t.test('invalid JSON stays text', async t => {
  t.match(shown(encodeMedia({ mediaType: 'application/json', data: '{"a":' })), { text: '{"a":', json: undefined })
})

t.test('an invalid media type is refused with an example of a valid one', async t => {
  for (const mediaType of ['', 'text', 'Text/Plain', 'text/plain\r\nx: y', 'a/b/c', '../x']) {
    t.throws(() => encodeMedia({ mediaType, data: '' }), { code: 'media_type', message: /text\/markdown/ })
  }
})

t.test('the limit is 64 KiB with the header, and the refusal says so', async t => {
  t.equal(encodeMedia('a'.repeat(65_536)).length, 65_536)
  t.throws(() => encodeMedia('a'.repeat(65_537)), { code: 'message_too_large', message: /65537.*65536/ })
  t.throws(() => encodeMedia({ json: 'a'.repeat(65_530) }), { code: 'message_too_large', message: /65536/ })
})

t.test('a header of a later version and an unknown kind are kept and named', async t => {
  const later = concatBytes(magic, Uint8Array.of(2, 9, 9))
  const view = shown(later)
  t.equal(view.kind, 'unknown:version-2')
  t.strictSame(new Uint8Array(view.body), later)
  t.match(shown(encodeMedia('go', { kind: 'invoice' })), { kind: 'unknown:invoice', text: 'go' })
  const room = { id: 'a', from: 'alice', body: 'aGk', sentAt: 1, contentKind: 'room' }
  t.match(toMessage(room, 'first-use'), { kind: 'unknown:room', text: 'hi' })
})

t.test('bytes that only begin like a header are plain bytes', async t => {
  const wrong = ['{"kind":7}', '[]', 'null', '{', '{"hops":-1}', '{"type":"no type"}', '{"re":"a b"}']
  for (const header of wrong) {
    const text = encodeUtf8(header)
    const body = concatBytes(magic, Uint8Array.of(1, 0, text.length), text)
    t.match(shown(body), { kind: 'application', text: undefined }, header)
    t.strictSame(new Uint8Array(shown(body).body), body)
  }
  for (const bytes of [[], [1], [1, 0], [1, 0, 9, 0x7b]]) {
    t.match(shown(concatBytes(magic, Uint8Array.of(...bytes))), { kind: 'application' })
  }
})

t.test('a deadline is counted by the local clock from when the request first arrived', async t => {
  t.match(shown(encodeMedia('?', { kind: 'request', timeoutMs: 500, hops: 2 })), {
    kind: 'request',
    deadline: 600,
    hops: 2,
  })
})
