import t from 'tap'
import { openLogger } from '../../../src/server/base/logger.ts'

/** A logger that writes to a list of lines. */
function openList() {
  const lines: string[] = []
  return { lines, log: openLogger('trace', { write: line => lines.push(line) }) }
}

// Evidence: X5
t.test('properties that libraries add to an error are not logged', async t => {
  const { lines, log } = openList()
  const error = Object.assign(new Error('ERR wrong type'), {
    code: 'ERR',
    command: { name: 'evalsha', args: ['canary-argument'] },
    previousErrors: [new Error('canary-before')],
  })
  log.error({ err: error }, 'failed')
  log.error(error)
  t.equal(lines.length, 2)
  for (const line of lines) {
    t.notMatch(line, /canary/)
    t.match(line, /ERR wrong type/)
  }
})

// Evidence: X5
t.test('secrets are redacted at every depth', async t => {
  const { lines, log } = openList()
  log.info({
    token: 'canary',
    frame: { signature: 'canary', body: 'canary' },
    a: { b: { authorization: 'canary', nonce: 'canary' } },
  })
  t.notMatch(lines.join(''), /canary/)
})

// Evidence: W24
t.test('a line stays one line, and no terminal sees a control character', async t => {
  const { lines, log } = openList()
  log.warn({ name: 'a\r\n{"level":60}\u001b[31m' }, 'b\nc')
  t.equal(lines.length, 1)
  const line = lines[0]?.trimEnd() ?? ''
  for (const control of ['\r', '\n', '\u001b']) t.notOk(line.includes(control), JSON.stringify(control))
})
