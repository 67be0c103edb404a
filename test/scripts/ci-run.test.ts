import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'

const root = fileURLToPath(new URL('../..', import.meta.url))

const passing = `> aimessage test
TAP version 14
1..2
# Subtest: test/a.test.ts
    ok 1 - first
    1..1
    # time=1ms
ok 1 - test/a.test.ts # time=1ms

# Subtest: test/b.test.ts
    ok 1 - second
    1..1
ok 2 - test/b.test.ts # time=2ms

# { total: 2, pass: 2 }
`

const failing = `TAP version 14
1..3
# Subtest: test/a.test.ts
    # Subtest: sums
        ok 1 - one
        not ok 2 - two
          ---
          diff: 3
          ...
    not ok 1 - sums
not ok 1 - test/a.test.ts # time=1ms
  ---
  signal: SIGTERM
  ...

# Subtest: test/b.test.ts
    ok 1 - second
ok 2 - test/b.test.ts # time=2ms

# Subtest: test/c.test.ts
    ok 1 - third # SKIP no proxy here
ok 3 - test/c.test.ts # time=2ms

# { total: 4, pass: 2, fail: 1, skip: 1 }
`

/** What the scripts do that play npm and the other versions of Node. */
type Played = { test: string; testCode?: number; ciCode?: number; failingFetches?: number; smoke?: string }

/** `.ci/run` where installing and testing are played by a script. */
async function runChecks(t: Test, npm: Played) {
  const directory = t.testdir({ 'output.tap': npm.test, bin: {} })
  for (const file of ['.ci/run', 'scripts/brief-tap.js']) {
    mkdirSync(join(directory, file, '..'), { recursive: true })
    cpSync(join(root, file), join(directory, file))
  }
  const bin = join(directory, 'bin')
  program(join(bin, 'npm'), playedNpm(npm))
  program(join(directory, 'played-node'), npm.smoke ?? smokePasses)
  for (const tool of ['redis-server', 'chromium', 'haproxy', 'caddy']) program(join(bin, tool), 'exit 0')
  const child = spawn(join(directory, '.ci/run'), {
    env: { ...process.env, PATH: `${bin}:${process.env.PATH}` },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')])
  return { output, last: output.trimEnd().split('\n').at(-1), code }
}

const smokePasses = 'printf "ok 1 - demo\\nok 2 - message\\nok 3 - MCP\\n"'

/**
 * Plays `npm ci`, `npm test` and `npm install`. The installation of a Node leaves a program that plays the smoke run.
 */
const playedNpm = ({ testCode = 0, ciCode = 0, failingFetches = 0 }: Played) => `case $1 in
  ci) exit ${ciCode} ;;
  test) cat output.tap; exit ${testCode} ;;
  install)
    echo fetch >>fetches
    [ "$(wc -l <fetches)" -gt ${failingFetches} ] || { echo "the registry is away"; exit 1; }
    for last; do [ "$before" = --prefix ] && prefix=$last; before=$last; done
    mkdir -p "$prefix/node_modules/node-played/bin" && cp played-node "$prefix/node_modules/node-played/bin/node" ;;
esac`

function program(path: string, body: string): void {
  writeFileSync(path, `#!/bin/sh\n${body}\n`)
  chmodSync(path, 0o755)
}

t.test('what passed is one line a file, and the sum is the last line', async t => {
  const { output, code } = await runChecks(t, { test: passing })
  t.equal(code, 0)
  t.equal(
    output,
    `> aimessage test
ok 1 - test/a.test.ts # time=1ms
ok 2 - test/b.test.ts # time=2ms
# { total: 2, pass: 2 }
${'ok 1 - demo\nok 2 - message\nok 3 - MCP\n'.repeat(4)}14 passed, 0 failed
`,
  )
})

t.test('what failed is shown with its reasons, and a skipped test counts as failed', async t => {
  const { output, last, code } = await runChecks(t, { test: failing, testCode: 1 })
  t.equal(code, 1)
  t.equal(last, '2 passed, 2 failed')
  for (const reason of ['not ok 2 - two', 'diff: 3', 'not ok 1 - sums', 'signal: SIGTERM', 'SKIP no proxy here']) {
    t.match(output, reason)
  }
  t.notMatch(output, 'ok 1 - second')
})

t.test('a failure in the counts is a failure, whatever npm ends with', async t => {
  t.match(await runChecks(t, { test: failing }), { code: 1, last: '2 passed, 2 failed' })
})

t.test('a failure before the first test is a failure', async t => {
  const { output, last, code } = await runChecks(t, { test: 'src/a.ts(1,1): error TS1', testCode: 2 })
  t.equal(code, 2)
  t.equal(last, '0 passed, 1 failed')
  t.match(output, 'error TS1')
})

t.test('an installation that fails is a failure, and so is a run without tests', async t => {
  t.match(await runChecks(t, { test: passing, ciCode: 1 }), { code: 1, last: '0 passed, 1 failed' })
  t.match(await runChecks(t, { test: '' }), { code: 1, last: '0 passed, 1 failed' })
})

t.test('a smoke run that fails on another Node is a failure', async t => {
  const smoke = 'printf "ok 1 - demo\\nnot ok 2 - message\\n"; exit 1'
  t.match(await runChecks(t, { test: passing, smoke }), { code: 1, last: '6 passed, 8 failed' })
})

t.test('a Node that could not be fetched is fetched again, and after three attempts it is a failure', async t => {
  const again = await runChecks(t, { test: passing, failingFetches: 2 })
  t.match(again, { code: 0, last: '14 passed, 0 failed' })
  t.match(again.output, 'the registry is away')
  t.match(await runChecks(t, { test: passing, failingFetches: 3 }), { code: 1, last: '11 passed, 3 failed' })
})
