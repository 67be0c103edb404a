import { dirname, resolve } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { parseCount, parseSeconds, readSettings } from '../../../src/cli/base/options.ts'

const home = '/home/of/agents'

t.test("an agent's name is the name of a directory in home, and other names are refused", async t => {
  for (const agent of ['default', 'a', 'alice-2', '0.bob_x', 'x'.repeat(64)]) {
    t.equal(readSettings({ agent, home }).directory, `${home}/${agent}`)
  }
  const wrong = [
    '',
    '.',
    '..',
    '../alice',
    'a/b',
    'a\\b',
    '/etc',
    '.hidden',
    'a\0b',
    'Alice',
    'x'.repeat(65),
    'é',
    'a\n',
  ]
  for (const agent of wrong) t.throws(() => readSettings({ agent, home }), { code: 'usage' }, JSON.stringify(agent))
})

// Evidence: U4
t.test('every accepted name gives a directory directly in home', async t => {
  fc.assert(
    fc.property(fc.string(), agent => {
      try {
        return dirname(resolve(readSettings({ agent, home }).directory)) === home
      } catch {
        return true
      }
    }),
  )
  t.pass()
})

t.test('a relative home is resolved against the working directory', async t => {
  t.equal(readSettings({ home: 'agents' }).directory, resolve('agents/default'))
})

t.test('counts are whole numbers; seconds may have three decimals', async t => {
  t.equal(parseCount('1'), 1)
  t.equal(parseCount('999999999'), 999_999_999)
  for (const text of ['', '0', '-1', '1.5', '1e3', '0x10', ' 1', '1000000000', 'NaN']) {
    t.throws(() => parseCount(text), /whole number/, text)
  }
  t.equal(parseSeconds('0'), 0)
  t.equal(parseSeconds('0.25'), 250)
  t.equal(parseSeconds('86400'), 86_400_000)
  for (const text of ['', '-1', '1e3', '86401', '1.2345', 'Infinity', '1s']) {
    t.throws(() => parseSeconds(text), /seconds/, text)
  }
})
