import t from 'tap'
import { ProtocolError } from '../../src/protocol/errors.ts'
import { formatAddress, isDomain, isLoopback, parseRecipient, parseUsername } from '../../src/protocol/names.ts'

const codeOf = (run: () => unknown): string => {
  try {
    run()
    return 'none'
  } catch (error) {
    return error instanceof ProtocolError ? error.code : String(error)
  }
}

t.test('usernames have 3 to 32 allowed characters, with a letter or digit at both ends', async t => {
  for (const name of ['bob', 'a.b', '0-9', 'a'.repeat(32), 'planner_7.eu-west']) t.equal(parseUsername(name), name)
})

// Evidence: D13, A6
t.test('a name that could pass for another Redis key, path, pattern or name is invalid', async t => {
  const names = [
    '',
    'ab',
    'a'.repeat(33),
    'Alice',
    'alice ',
    ' alice',
    '-alice',
    'alice-',
    '.alice',
    'al:ice',
    'al/ice',
    '../../x',
    'al*ce',
    'al%ce',
    'alice\n',
    'al\u0000ce',
    'аlice',
    'ali\u200bce',
    'al@ce',
    '{alice}',
    '__proto__',
  ]
  for (const name of names)
    t.equal(
      codeOf(() => parseUsername(name)),
      'invalid_username',
      JSON.stringify(name),
    )
})

t.test('a recipient may include the domain of this deployment and no other', async t => {
  t.equal(parseRecipient('bob', 'example.com'), 'bob')
  t.equal(parseRecipient('bob@example.com', 'example.com'), 'bob')
  t.equal(
    codeOf(() => parseRecipient('bob@example.org', 'example.com')),
    'unknown_user',
  )
  t.equal(
    codeOf(() => parseRecipient('bob@', 'example.com')),
    'unknown_user',
  )
  t.equal(
    codeOf(() => parseRecipient('bob@example.com@example.com', 'example.com')),
    'unknown_user',
  )
  t.equal(
    codeOf(() => parseRecipient('@example.com', 'example.com')),
    'invalid_username',
  )
})

t.test('the longest name with the longest domain is a valid address', async t => {
  const domain = `${'a'.repeat(60)}.${'b'.repeat(60)}.${'c'.repeat(60)}.${'d'.repeat(37)}`
  t.equal(domain.length, 220)
  t.ok(isDomain(domain))
  t.ok(formatAddress(parseUsername('a'.repeat(32)), domain).length <= 255)
})

t.test('domains are host names in lower case with an optional port', async t => {
  for (const domain of ['localhost', 'example.com', 'a.b-c.example', 'localhost:8080', '10.0.0.1'])
    t.ok(isDomain(domain), domain)
  for (const domain of [
    '',
    'Example.com',
    'a..b',
    '-a.com',
    'a.com-',
    'a b',
    'a.com:',
    'a.com:port',
    'http://a',
    `${'a.'.repeat(40)}b`,
    'a'.repeat(221),
  ]) {
    t.notOk(isDomain(domain), domain)
  }
})

t.test('only host names of this machine are loopback', async t => {
  for (const host of ['localhost', '127.0.0.1', '127.9.9.9', '::1', '[::1]']) t.ok(isLoopback(host), host)
  for (const host of ['0.0.0.0', '::', 'localhost.evil.example', '127.0.0.1.evil.example', '128.0.0.1', '10.0.0.1'])
    t.notOk(isLoopback(host), host)
})
