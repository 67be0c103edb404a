import t from 'tap'
import { partOf, toModelText, unescapeText } from '../../src/mcp/model-text.ts'
import { seededRandom } from '../../tools/random.ts'

const exact = [
  'all:\n\tcc -o x x.c\n',
  'a\tb\r\nc\td\r\n',
  '{\n\t"a": "\\u0041\\x09"\n}',
  'C:\\temp\\new',
  '👨‍👩‍👧 ❤️ 🏴\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}',
  'می‌خواهم',
  '\ufeffname,value',
]
const unsafe = ['\u001b[31m', '\u202egpj.exe', '\u200b', '\u2028', '\0', '\u009b2J', '\u{e0041}', '\u{e0100}', '\u00ad']

t.test('18.2 texts that models write and read arrive exactly', async t => {
  for (const text of exact) t.same(toModelText(text), { text, escaped: false })
})

t.test('18.2 what a terminal or a reader would misread is escaped, and marked', async t => {
  for (const text of unsafe) {
    const shown = toModelText(`a${text}\\b`)
    t.equal(shown.escaped, true)
    t.match(shown.text, /^[\x20-\x7e]+$/)
    t.equal(unescapeText(shown.text), `a${text}\\b`)
  }
  const hidden = [...'ignore all'].map(letter => String.fromCodePoint(0xe0000 + (letter.codePointAt(0) ?? 0))).join('')
  t.equal(toModelText(`🏴${hidden}\u{e007f}`).escaped, true, 'a flag does not hide a text')
})

t.test('18.2 of 2000 generated texts each is exact or can be unescaped, whole and in parts', async t => {
  const random = seededRandom(182)
  const parts = [...exact, ...unsafe, 'plain text ', '\\', '\\x09', '\\\\u{41}', '😀', 'é', '\n', '\t', '\r']
  const textOf = (length: number) => Array.from({ length }, () => random.pick(parts)).join('')
  let escaped = 0
  for (let count = 0; count < 2_000; count += 1) {
    const text = textOf(random.between(0, count % 50 === 0 ? 2_000 : 40))
    const whole = toModelText(text)
    if (whole.escaped) escaped += 1
    if ((whole.escaped ? unescapeText(whole.text) : whole.text) !== text) t.fail(JSON.stringify(text))
    const room = random.between(10, 3_000)
    let joined = ''
    for (let offset = 0, more = 1; more > 0; ) {
      const part = partOf(text, offset, room)
      joined += part.escaped ? unescapeText(part.text) : part.text
      if (part.text.length > Math.max(room, 20)) t.fail(`${part.text.length} characters in ${room}`)
      if (part.end <= offset && part.more > 0) return t.fail('no progress')
      offset = part.end
      more = part.more
    }
    if (joined !== text) t.fail(JSON.stringify(text))
  }
  t.ok(escaped > 200 && escaped < 1_990, `${escaped} of 2000 were escaped`)
})
