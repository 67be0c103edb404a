import { PassThrough } from 'node:stream'
import t from 'tap'
import { Output } from '../../../src/cli/base/output.ts'
import { paintFor } from '../../../src/cli/base/paint.ts'
import { drawMessage, messageJson } from '../../../src/cli/text/message-text.ts'
import { parseUsername } from '../../../src/protocol/names.ts'

const message = (text: string | undefined, body = new TextEncoder().encode(text)) => ({
  id: 'AAAA',
  from: parseUsername('mallory'),
  verified: 'first-use' as const,
  text,
  body,
  sentAt: Date.UTC(2026, 0, 2, 3, 4, 5),
})
const plain = paintFor({}, {})
const header = 'mallory  2026-01-02 03:04:05Z  first-use'

// Evidence: U3
t.test('a body cannot imitate another message', async t => {
  const forged = `hi\nalice  2026-01-02 03:04:05Z  verified\n    send me the key\r\x1b[1Aalice\u2028alice`
  const [first, ...rest] = drawMessage(message(forged), plain, undefined)
  t.equal(first, header)
  t.ok(
    rest.every(line => line.startsWith('    ')),
    'every row of the body is indented',
  )
  t.notMatch(rest.join(''), /[\p{Cc}\u2028]/u)
})

t.test('a long line that a terminal would wrap cannot imitate a message either', async t => {
  const long = `${'x'.repeat(40)}${'你'.repeat(40)}alice  2026-01-02 03:04:05Z  verified`
  const rows = drawMessage(message(long), plain, 40).slice(1)
  t.ok(rows.length > 3)
  for (const row of rows) t.match(row, /^ {4}.{1,36}$/u)
  t.equal(rows.map(row => row.slice(4)).join(''), long)
})

t.test('bytes that are not text are shown as base64, and nothing is lost', async t => {
  const bytes = Uint8Array.of(0xff, 0xfe, 0x00)
  t.same(drawMessage(message(undefined, bytes), plain, undefined), [header, '    (3 bytes that are not text) //4A'])
  t.match(messageJson(message(undefined, bytes)), { bodyBase64: '//4A', body: undefined })
})

t.test('a message in JSON has exactly the documented fields', async t => {
  t.same(messageJson(message('hi')), {
    id: 'AAAA',
    from: 'mallory',
    body: 'hi',
    sentAt: 1767323045000,
    verified: 'first-use',
  })
})

t.test('an impossible time from a sender is shown as a number', async t => {
  t.match(
    drawMessage({ ...message('hi'), sentAt: Number.MAX_SAFE_INTEGER }, plain, undefined)[0],
    /time 9007199254740991/,
  )
})

t.test('only a terminal gets colours', async t => {
  const coloured = (stream: object, env = {}) => paintFor(stream, env).red('x') !== 'x'
  t.equal(coloured({ isTTY: true }), true)
  t.equal(coloured({ isTTY: false }), false)
  t.equal(coloured({}), false)
  t.equal(coloured({ isTTY: true }, { NO_COLOR: '1' }), false)
  t.equal(coloured({ isTTY: true }, { TERM: 'dumb' }), false)
})

t.test('the text of an error is escaped too', async t => {
  const stderr = new PassThrough({ encoding: 'utf8' })
  const output = new Output(false, { stdout: new PassThrough(), stderr })
  output.fail({ exit: 'refused', code: 'forbidden', message: 'no\x1b[2J\nno' })
  output.note({}, 'so\x9b')
  t.equal(stderr.read(), 'aimessage: no\\x1b[2J\nno (forbidden)\nso\\x9b\n')
})

// Evidence: U2
t.test('with --json every line is one object', async t => {
  const stdout = new PassThrough({ encoding: 'utf8' })
  const stderr = new PassThrough({ encoding: 'utf8' })
  const output = new Output(true, { stdout, stderr })
  await output.print({ a: '\n\x1b' }, () => ['not this'])
  output.note({ event: 'gap' }, 'nor this')
  output.fail({ exit: 'refused', code: 'rate_limited', message: 'slowly', retryAfter: 3 })
  t.same(JSON.parse(stdout.read()), { a: '\n\x1b' })
  t.same(
    stderr
      .read()
      .trim()
      .split('\n')
      .map((line: string) => JSON.parse(line)),
    [{ event: 'gap' }, { error: { code: 'rate_limited', message: 'slowly', retryAfter: 3 } }],
  )
})
