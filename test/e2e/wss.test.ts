import t from 'tap'
import { requireTool } from '../../tools/require-tool.ts'
import { openAuthority } from '../../tools/servers/certificates.ts'
import { startDeployment } from '../../tools/servers/deployment.ts'
import { startHaproxy } from '../../tools/servers/haproxy.ts'
import { failureOf, jsonError, jsonLines } from '../fixtures/cli/cli.ts'
import { openCliWorld } from '../fixtures/cli/cli-world.ts'

const haproxy = requireTool(t, 'haproxy')
const { nodes } = await startDeployment(t, { nodes: 2 })
const [own, stranger] = [await openAuthority(t), await openAuthority(t)]
const certificates = await Promise.all([
  own.certify('localhost'),
  own.certify('elsewhere.example'),
  stranger.certify('localhost'),
])
const [server = '', misnamed = '', untrusted = ''] = await startHaproxy(t, haproxy, {
  nodes: nodes.map(({ url }) => new URL(url).host),
  certificates,
})
const world = await openCliWorld(t, server)
const trusting = { env: { NODE_EXTRA_CA_CERTS: own.caFile } }

t.test('the command line works over wss, with a private authority from the environment or an option', async t => {
  t.match(await world.run('alice', ['register', 'alice'], trusting), {
    code: 0,
    stdout: /^registered alice@localhost\n/,
  })
  const byOption = ['--ca-file', own.caFile]
  t.match(await world.run('bob', ['register', 'bob', ...byOption]), { code: 0 })

  t.match(await world.run('alice', ['send', 'bob', 'over TLS'], trusting), { code: 0 })
  const received = await world.run('bob', ['recv', '--json', ...byOption])
  t.match(jsonLines(received.stdout), [{ from: 'alice', body: 'over TLS' }])
  t.match(jsonLines((await world.run('alice', ['users', '--json'], trusting)).stdout), [
    { username: 'alice' },
    { username: 'bob' },
  ])
})

// Evidence: K13, X1
t.test('an invalid certificate is refused before any frame is sent, with one line that names the reason', async t => {
  const cases = [
    ['of an untrusted authority', server, {}, /unknown authority.*--ca-file/],
    ['of another authority than the trusted one', untrusted, trusting.env, /unknown authority/],
    ['of another name', misnamed, trusting.env, /certificate is for another name/],
  ] as const
  for (const [what, url, env, why] of cases) {
    const options = { env: { ...env, AIMESSAGE_SERVER: url } }
    const json = await world.run('mallory', ['register', 'mallory', '--json'], options)
    t.equal(failureOf(json), '4 unreachable', what)
    t.match(jsonError(json).message, why, what)
    const human = await world.run('mallory', ['register', 'mallory'], options)
    t.match(human, { code: 4, stdout: '' }, what)
    t.match(human.stderr, /^aimessage: [^\n]+\n(?: *the server[^\n]+\n)?$/, 'one line, and what the server said')
  }
})

// Evidence: W4
t.test('a listener continues at another node when its node behind the proxy ends', async t => {
  const listener = world.start('bob', ['listen', '--json', '--count', '2'], trusting)
  await listener.until(line => line.includes('"event":"listening"'))
  await world.run('alice', ['send', 'bob', 'before'], trusting)
  await listener.lines(1)
  // The listener is connected to one of them.
  t.equal(await nodes[0]?.stop(), 0)
  t.match(await world.run('alice', ['send', 'bob', 'after'], trusting), { code: 0 })
  t.match(jsonLines((await listener.lines(2)).join('\n')), [{ body: 'before' }, { body: 'after' }])
  t.equal(await listener.end(), 0)
})
