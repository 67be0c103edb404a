import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'

const script = fileURLToPath(new URL('../../scripts/ensure-test-tools.js', import.meta.url))

const redis = (version: string) => `echo "Redis server v=${version} sha=00000000:0 malloc=jemalloc"`
/** An installer that notes what it was asked for, and puts a Redis of this version beside itself. */
const installer = (name: string, version: string) =>
  `echo "${name} $*" >> "\${0%/*}/asked"
case "$*" in *install*redis*) printf '#!/bin/sh\\n%s\\n' '${redis(version)}' > "\${0%/*}/redis-server"; ${chmod} "\${0%/*}/redis-server";; esac`
const chmod = '/bin/chmod 755'

/** Runs it on a machine that has these programs, and nothing else. */
function ensure(t: Test, programs: Record<string, string>) {
  const directory = t.testdir(
    Object.fromEntries(Object.entries(programs).map(([name, body]) => [name, `#!/bin/sh\n${body}\n`])),
  )
  for (const name of Object.keys(programs)) chmodSync(join(directory, name), 0o755)
  const { status, stdout, stderr } = spawnSync(process.execPath, [script], {
    env: { PATH: directory },
    encoding: 'utf8',
  })
  const asked = join(directory, 'asked')
  return { status, stdout, stderr, asked: existsSync(asked) ? readFileSync(asked, 'utf8') : '' }
}

/** With or without being root, the same machine. */
const apt = (version: string) => ({ 'apt-get': installer('apt-get', version), sudo: '[ "$1" = -n ] && shift; "$@"' })

t.test('nothing is done or said where there is a Redis', async t => {
  t.match(ensure(t, { ...apt('7.0.15'), 'redis-server': redis('7.4.1') }), {
    status: 0,
    stdout: '',
    stderr: '',
    asked: '',
  })
})

t.test('apt installs one, and it is said', async t => {
  const { status, stdout, asked } = ensure(t, apt('7.0.15'))
  t.equal(status, 0)
  t.match(stdout, /No redis-server here.*apt-get install.*redis-server/)
  t.match(asked, /^apt-get update.*\napt-get install .*redis-server\n$/m)
})

t.test('brew installs one, and it is said', async t => {
  const { status, stdout, asked } = ensure(t, { brew: installer('brew', '8.0.0') })
  t.equal(status, 0)
  t.match(stdout, /brew install redis/)
  t.match(asked, /brew install redis\n$/)
})

t.test('where it cannot be had, one line says what to install', async t => {
  const machines = {
    'no installer': {},
    'an installer that fails': { 'apt-get': '[ "$1" = --version ]', sudo: apt('').sudo },
    'no right to install': { ...apt('7.0.15'), 'apt-get': '[ "$1" = --version ]', sudo: 'exit 1' },
  }
  for (const [name, programs] of Object.entries(machines)) {
    const { status, stderr } = ensure(t, programs)
    t.equal(status, 1, name)
    t.match(stderr, /^No redis-server: please install Redis 7 or later [^\n]*\n$/, name)
  }
})

t.test('a Redis that is too old is named', async t => {
  for (const programs of [{ 'redis-server': redis('6.0.16') }, apt('6.0.16')]) {
    const { status, stderr } = ensure(t, programs)
    t.equal(status, 1)
    t.match(stderr, /^redis-server 6\.0\.16 is too old: please install Redis 7 or later/)
  }
})
