import fc from 'fast-check'
import t from 'tap'
import {
  checkBody,
  decodeClientFrame,
  decodeServerFrame,
  encodeFrame,
  encodePush,
  FrameError,
  parseObject,
} from '../../src/protocol/codec.ts'
import { ProtocolError } from '../../src/protocol/errors.ts'
import { limits } from '../../src/protocol/limits.ts'

/** Returns the error that a call throws. */
function thrownBy(run: () => unknown): FrameError | ProtocolError {
  try {
    run()
  } catch (error) {
    if (error instanceof ProtocolError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

const nested = (open: string, close: string, depth: number) => open.repeat(depth) + close.repeat(depth)

t.test('a frame that is not one JSON object ends the connection', async t => {
  const texts = [
    '',
    ' ',
    'null',
    '1',
    '"text"',
    '[]',
    '[{"type":"stop","id":"1"}]',
    '{',
    '{"type":"stop"',
    '{}{}',
    'undefined',
    '\u0000',
  ]
  for (const text of texts) {
    const { code, close } = thrownBy(() => decodeClientFrame(text))
    t.same({ code, close }, { code: 'bad_frame', close: 'notTheProtocol' }, JSON.stringify(text))
  }
})

// Evidence: W14
t.test('the nesting depth is checked before parsing', async t => {
  const inObject = (value: string) => `{"type":"heartbeat","x":${value}}`
  t.equal(decodeClientFrame(inObject(nested('[', ']', limits.maxDepth - 1))).type, 'heartbeat')
  for (const depth of [limits.maxDepth, 1_000, 60_000]) {
    for (const [open, close] of [
      ['[', ']'],
      ['{"a":', '}'],
    ] as const) {
      const refusal = thrownBy(() => decodeClientFrame(inObject(`${nested(open, close, depth).replace(':}', ':1}')}`)))
      t.equal(refusal.close, 'notTheProtocol', `${open} ${depth} times`)
    }
  }
})

t.test('brackets inside strings do not count as nesting', async t => {
  const texts = ['[[[[[[[[[[[[', '\\"[[[[[[[[[[[[', '\\\\', '{{{{{{{{{{\\u0022{{{{{']
  for (const text of texts)
    t.equal(decodeClientFrame(`{"type":"heartbeat","x":"${text}","y":[1]}`).type, 'heartbeat', text)
})

t.test('a string that ends in a backslash does not hide nesting after it', async t => {
  const refusal = thrownBy(() => decodeClientFrame(`{"type":"heartbeat","x":"\\\\","y":${nested('[', ']', 9)}}`))
  t.match(refusal.message, /levels/)
})

// Evidence: W14
t.test('__proto__ and constructor.prototype are refused at every level', async t => {
  const tricks = [
    '{"type":"heartbeat","__proto__":{"admin":true}}',
    '{"type":"heartbeat","x":{"__proto__":{"admin":true}}}',
    '{"type":"heartbeat","\\u005f_proto__":{"admin":true}}',
    '{"type":"heartbeat","constructor":{"prototype":{"admin":true}}}',
    '{"type":"heartbeat","x":[{"constructor":{"prototype":{"admin":true}}}]}',
  ]
  for (const trick of tricks) t.equal(thrownBy(() => decodeClientFrame(trick)).close, 'notTheProtocol', trick)
  const innocent: Record<string, unknown> = {}
  t.equal(innocent.admin, undefined)
})

t.test('names of Object.prototype are not frame types', async t => {
  for (const type of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
    const { code, close } = thrownBy(() => decodeClientFrame(JSON.stringify({ type, id: '1' })))
    t.same({ code, close }, { code: 'bad_frame', close: undefined }, type)
  }
})

t.test('bytes that are not UTF-8 end the connection', async t => {
  for (const bytes of [[0xff], [0xc0, 0xaf], [0xed, 0xa0, 0x80], [0x7b, 0x22, 0x80, 0x22, 0x7d]]) {
    t.equal(thrownBy(() => decodeClientFrame(Uint8Array.from(bytes))).close, 'notTheProtocol', String(bytes))
  }
})

t.test('no field accepts a lone surrogate', async t => {
  for (const text of ['{"type":"stop","id":"\\ud800"}', '{"type":"send","id":"1","to":"bob","body":"\\udfff"}']) {
    t.equal(thrownBy(() => decodeClientFrame(text)).code, 'bad_frame', text)
  }
})

// Evidence: W13
t.test('a wrong field is named in the error, leaves the connection open and keeps the id', async t => {
  const wrong: [Record<string, unknown>, RegExp][] = [
    [{ type: 'ack', seq: -1 }, /seq/],
    [{ type: 'ack', seq: 1.5 }, /seq/],
    [{ type: 'ack', seq: '1' }, /seq/],
    [{ type: 'ack', seq: 2 ** 53 }, /seq/],
    [{ type: 'ack' }, /seq/],
    [{ type: 'send', to: 5, body: 'AAAA' }, /to/],
    [{ type: 'send', to: 'bob' }, /body/],
    [{ type: 'send', to: 'bob', body: 'AAAA', ttl: 0 }, /ttl/],
    [{ type: 'send', to: 'bob', body: 'A===' }, /body/],
    [{ type: 'send', to: 'bob', body: 'AAAAA' }, /body/],
    [{ type: 'send', to: 'bob', body: '' }, /body/],
    [{ type: 'list_users', limit: 501 }, /limit/],
    [{ type: 'list_users', prefix: 'A*' }, /prefix/],
    [{ type: 'listen', instance: 'a b' }, /instance/],
    [{ type: 'authenticate', username: 'bob' }, /authenticate/],
    [{ type: 'authenticate' }, /authenticate/],
    [{ type: 'publish_keys', oneTimeKeys: [{ id: 0, key: 'A'.repeat(43) }] }, /oneTimeKeys.0.id/],
    [{ type: 'nonsense' }, /type/],
    [{}, /type/],
    [{ type: 7 }, /type/],
  ]
  for (const [frame, field] of wrong) {
    const refusal = thrownBy(() => decodeClientFrame(JSON.stringify({ id: 'x-1', ...frame })))
    t.match(refusal.message, field, JSON.stringify(frame))
    t.same({ code: refusal.code, close: refusal.close }, { code: 'bad_frame', close: undefined })
    t.equal(refusal instanceof FrameError && refusal.id, 'x-1')
  }
})

t.test('an invalid id is not repeated in the error', async t => {
  for (const id of ['', 'a b', 'x'.repeat(65), '\n', 5, null, { a: 1 }]) {
    const refusal = thrownBy(() => decodeClientFrame(JSON.stringify({ type: 'stop', id })))
    t.equal(refusal instanceof FrameError && refusal.id, undefined, JSON.stringify(id))
  }
})

// Evidence: API3
t.test('unknown fields are ignored', async t => {
  t.equal(decodeClientFrame('{"type":"stop","id":"1","later":{"version":2}}').type, 'stop')
})

t.test('of repeated keys the last one counts, both for the check and for later use', async t => {
  t.equal(thrownBy(() => decodeClientFrame('{"type":"stop","id":"1","type":"nonsense"}')).message, 'unknown type')
})

t.test('a body of the maximum length is accepted and a longer one refused', async t => {
  t.doesNotThrow(() => checkBody('A'.repeat(limits.maxBodyChars)))
  t.equal(thrownBy(() => checkBody('A'.repeat(limits.maxBodyChars + 1))).code, 'message_too_large')
  t.equal(thrownBy(() => checkBody('A+/A')).code, 'bad_frame')
})

t.test('a push is encoded as JSON.stringify would encode it', async t => {
  const push = {
    type: 'message',
    seq: 3,
    prev: 1,
    id: 'a_-Z9',
    from: 'alice.b-c_d',
    body: 'AA_-',
    sentAt: 1_700_000_000_000,
  } as const
  t.same(decodeServerFrame(encodePush(push)), push)
  t.same(JSON.parse(encodePush(push)), JSON.parse(encodeFrame(push)))
})

// Evidence: API10
t.test('a client checks the frames of a node in the same way', async t => {
  t.equal(thrownBy(() => decodeServerFrame('{"type":"accepted","id":"1","seq":"9","queued":true}')).code, 'bad_frame')
  t.equal(thrownBy(() => decodeServerFrame('{"type":"surprise"}')).code, 'bad_frame')
})

// Evidence: L12, W5
t.test('for any text the decoder throws nothing but a refusal', async t => {
  const texts = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.json({ maxDepth: 12 }),
    fc.uint8Array({ maxLength: 200 }),
    fc
      .array(fc.constantFrom('{', '}', '[', ']', '"', '\\', ':', ',', '1', 'type', '__proto__'), { maxLength: 60 })
      .map(parts => parts.join('')),
  )
  fc.assert(
    fc.property(texts, raw => {
      try {
        decodeClientFrame(raw)
      } catch (error) {
        return error instanceof ProtocolError && error.code === 'bad_frame'
      }
      return true
    }),
    { numRuns: 2_000 },
  )
  t.pass()
})

t.test('no accepted frame is deeper than the limit', async t => {
  const depthOf = (value: unknown): number =>
    typeof value === 'object' && value !== null ? 1 + Math.max(0, ...Object.values(value).map(depthOf)) : 0
  fc.assert(
    fc.property(fc.json({ maxDepth: 14 }), text => {
      const value: unknown = JSON.parse(text)
      try {
        parseObject(text)
      } catch {
        return (
          typeof value !== 'object' ||
          value === null ||
          Array.isArray(value) ||
          depthOf(value) > limits.maxDepth ||
          /__proto__|constructor/.test(text)
        )
      }
      return depthOf(value) <= limits.maxDepth
    }),
    { numRuns: 2_000 },
  )
  t.pass()
})
