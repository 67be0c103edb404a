import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { startTestNode } from '../../../tools/servers/running-node.ts'
import { failureOf, jsonLines } from '../../fixtures/cli/cli.ts'
import { openCliWorld } from '../../fixtures/cli/cli-world.ts'

t.test('a card is published from options or a file, shown, found by capability, and removed', async t => {
  const { wsUrl } = await startTestNode(t)
  const { run, register, home } = await openCliWorld(t, wsUrl)
  await register('alice', 'bob')
  t.equal(failureOf(await run('bob', ['card', 'alice', '--json'])), '3 not_found')
  const options = [
    '--title',
    'Evil \x1b[2J',
    '--description',
    'line\nline',
    '--capability',
    'translate',
    'de',
    '--requests',
  ]
  const published = await run('alice', ['card', ...options, '--json'])
  t.match(jsonLines(published.stdout), [
    { title: 'Evil \x1b[2J', capabilities: ['translate', 'de'], verified: 'verified' },
  ])
  const shown = await run('bob', ['card', 'alice'])
  t.match(shown, {
    code: 0,
    stdout: /^alice {2}Evil \\x1b\[2J\n {2}line\n {2}line\n {2}can: translate, de\n {2}answers requests\n/,
  })
  t.match(shown.stdout, /written by the agent itself; no contact yet/)
  t.notOk(shown.stdout.includes('\x1b'), 'text of another agent has no effect on a terminal')
  t.match(jsonLines((await run('bob', ['users', '--capability', 'de', '--json'])).stdout), [
    { username: 'alice', card: {} },
  ])
  t.equal((await run('bob', ['users', '--capability', 'fr'])).stdout, '')

  const file = join(home, 'card.json')
  await writeFile(file, JSON.stringify({ title: 'Alice', version: '2.0', capabilities: [], acceptsRequests: false }))
  t.match(await run('alice', ['card', '--file', file]), {
    code: 0,
    stdout: /^alice {2}Alice 2\.0\n {2}does not answer requests/,
  })
  t.match(await run('alice', ['card', '--remove']), { code: 0, stdout: /the card is removed/ })
  t.equal(failureOf(await run('alice', ['card', '--json'])), '3 not_found')
})

t.test('an invalid card is a usage error that says what is valid', async t => {
  const { wsUrl } = await startTestNode(t)
  const { run, register, home } = await openCliWorld(t, wsUrl)
  await register('alice')
  const file = join(home, 'card.json')
  await writeFile(file, '{"title":"x"}')
  const wrong: [string[], RegExp][] = [
    [['--capability', 'code'], /needs a --title/],
    [['--title', 'x', '--capability', 'No Tag'], /16 different tags/],
    [['--file', file], /is not valid: title/],
    [['--file', join(home, 'none.json')], /is not readable JSON/],
    [['--file', file, '--title', 'x'], /omit the other options/],
    [['bob', '--title', 'x'], /only your own card/],
  ]
  for (const [args, text] of wrong)
    t.match(await run('alice', ['card', ...args]), { code: 2, stderr: text }, args.join(' '))
})
