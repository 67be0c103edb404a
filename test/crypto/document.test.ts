import { readFileSync } from 'node:fs'
import t from 'tap'
import { labels } from '../../src/crypto/labels.ts'
import { cryptoLimits } from '../../src/crypto/limits.ts'
import { suites } from '../../src/crypto/suites.ts'

const page = readFileSync(new URL('../../docs/E2E.md', import.meta.url), 'utf8')
const text = page.replaceAll(/\s+/g, ' ')

/** The rows of the first table of a numbered section, without its header. */
function rows(number: number): string[][] {
  const [, rest = ''] = page.split(new RegExp(`^## ${number}\\. .*$`, 'm'))
  const lines = (rest.split(/^## /m)[0] ?? '').split('\n').filter(line => line.startsWith('|'))
  return lines.slice(2).map(line =>
    line
      .slice(1, -1)
      .split('|')
      .map(cell => cell.trim()),
  )
}

t.test('section 2 lists the suites', async t => {
  const listed = rows(2).flatMap(([id, , handshake]) => (handshake === '' ? [] : [Number(id)]))
  t.same(listed.sort(), [...suites].sort())
})

t.test('section 3 lists every label', async t => {
  const listed = rows(3).map(([, label = '']) => label.replaceAll('`', ''))
  const { sharedSecret, ...others } = labels
  t.same(listed.sort(), [...Object.values(sharedSecret), ...Object.values(others)].sort())
})

t.test('section 10 states the limits of the code', async t => {
  const listed = new Map(rows(10).map(([limit = '', value = '']) => [limit, value]))
  const numbersIn = (limit: string) => [...(listed.get(limit) ?? '').matchAll(/\d+/g)].map(Number)
  const limits = cryptoLimits
  t.same(numbersIn('skipped keys per message'), [limits.maxSkippedPerMessage])
  t.same(numbersIn('skipped keys stored per session'), [limits.maxSkippedPerSession])
  t.same(numbersIn('sessions per peer'), [limits.maxSessionsPerPeer])
  t.same(numbersIn('body'), [limits.maxBodyBytes / 1024])
  t.same(numbersIn('handshakes accepted per peer'), [limits.maxHandshakesPerHour, limits.maxHandshakesPerMinute])
  t.same(numbersIn('own offers waiting for an answer'), [limits.maxOffers])
})

t.test('sections 7 and 8 state the limits of the code', async t => {
  const day = 24 * cryptoLimits.hourMs
  const stated: [number, number, string][] = [
    [cryptoLimits.unansweredMs / day, 30, 'not answered in 30 days'],
    [cryptoLimits.crossingMs / cryptoLimits.minuteMs, 10, 'less than 10 minutes ago'],
    [cryptoLimits.renewAfterMs / day, 7, 'after 7 days or 10 000 messages'],
    [cryptoLimits.renewAfterMessages, 10_000, 'after 7 days or 10 000 messages'],
    [cryptoLimits.heartbeatAfter, 50, '50 or more messages on one chain'],
    [cryptoLimits.rotatePrekeysMs / day, 7, 'rotate both after 7 days'],
    [cryptoLimits.keepPrekeysMs / day, 30, 'kept for 30 days'],
    [cryptoLimits.keepPrekeysBeyondMailboxMs / day, 7, 'mailbox lifetime + 7 days'],
    [cryptoLimits.oneTimeKeys, 100, '| OPK | 100 | refill below 50'],
    [cryptoLimits.lowOneTimeKeys, 50, '| OPK | 100 | refill below 50'],
    [cryptoLimits.oneTimeKemKeys, 20, '| one-time KEM | 20 (25 KB) | refill below 10'],
    [cryptoLimits.lowOneTimeKemKeys, 10, '| one-time KEM | 20 (25 KB) | refill below 10'],
    [cryptoLimits.maxReplaysPerPair, 4096, '| replay list | 4096 sids per SPK'],
  ]
  for (const [value, expected, phrase] of stated) {
    t.equal(value, expected, phrase)
    t.ok(text.includes(phrase), `the page says: ${phrase}`)
  }
})
