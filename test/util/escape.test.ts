import fc from 'fast-check'
import t from 'tap'
import { encodeJsonLine, escapeLine, escapeLines, wrap } from '../../src/util/escape.ts'

/** Listed from the Unicode names, independently of the implementation. */
const dangerous = [
  ...Array.from({ length: 32 }, (_, code) => code),
  ...Array.from({ length: 33 }, (_, index) => 0x7f + index),
  0xad,
  0x61c,
  0x180e,
  0x200b,
  0x200c,
  0x200d,
  0x200e,
  0x200f,
  0x2028,
  0x2029,
  0x202a,
  0x202b,
  0x202c,
  0x202d,
  0x202e,
  0x2060,
  0x2061,
  0x2066,
  0x2067,
  0x2068,
  0x2069,
  0x206f,
  0xfeff,
  0x3164,
  0xe0001,
  0xe0041,
  0xe0100,
]

// Evidence: U3, X12, W16
t.test('every control, bidi and invisible character is replaced by a visible escape', async t => {
  for (const code of dangerous) {
    const escaped = escapeLine(`a${String.fromCodePoint(code)}b`)
    t.match(escaped, /^a\\(?:x[0-9a-f]{2}|u[0-9a-f]{4}|u\{[0-9a-f]+\})b$/, `U+${code.toString(16)}`)
  }
})

t.test('an escape gives the code of the character', async t => {
  t.equal(escapeLine('\x1b[31m\x9b\u202e\u{e0001}\t\r'), '\\x1b[31m\\x9b\\u202e\\u{e0001}\\x09\\x0d')
})

t.test('text of any language is unchanged', async t => {
  for (const text of ['plain', 'Grüße', 'שלום', '你好', 'é e\u0301', '❤\ufe0f 🌍', '\\x1b'])
    t.equal(escapeLine(text), text)
})

t.test('only a line feed starts a new line', async t => {
  t.same(escapeLines('a\nb\r\nc\u2028d\x85e\x0bf'), ['a', 'b\\x0d', 'c\\u2028d\\x85e\\x0bf'])
})

t.test('a line of JSON has none of these characters, and parses to the same value', async t => {
  const text = dangerous.map(code => String.fromCodePoint(code)).join('')
  const line = encodeJsonLine({ text })
  t.notMatch(line, /[\p{Cc}\p{Cf}\u2028\u2029\u3164]/u)
  t.same(JSON.parse(line), { text })
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), any => {
      const encoded = encodeJsonLine([any])
      return !/[\p{Cc}\p{Cf}]/u.test(encoded) && JSON.parse(encoded)[0] === any
    }),
  )
})

t.test('a wrapped line keeps all of its characters and fits the width', async t => {
  t.same(wrap('abcdef', 4), ['abcd', 'ef'])
  t.same(wrap('你好吗', 4), ['你好', '吗'])
  t.same(wrap('', 4), [''])
  fc.assert(
    fc.property(fc.string(), text => {
      const rows = wrap(escapeLine(text), 20)
      return rows.join('') === escapeLine(text) && rows.every(row => [...row].length <= 20)
    }),
  )
})
