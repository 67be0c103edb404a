import t, { type Test } from 'tap'
import { startDeployment } from '../../tools/servers/deployment.ts'
import { jsonLines, type RunningCli } from '../fixtures/cli/cli.ts'
import { type CliWorld, openCliWorld } from '../fixtures/cli/cli-world.ts'
import { runSenderProcess } from '../fixtures/processes/sender-process.ts'

/** Most messages come from one process in a burst, some from one command each. */
const burst = 194
const commands = 6
const names = ['alice', 'bob'] as const
type Name = (typeof names)[number]
const other = (name: Name): Name => (name === 'alice' ? 'bob' : 'alice')
const texts = (count: number, what: string) => Array.from({ length: count }, (_, index) => `${what} ${index}`)

/** The events that report a conflict between listeners or another fault. */
const disturbances = [
  'disconnected',
  'reconnecting',
  'replaced',
  'gap',
  'reordered',
  'undecryptable',
  'failed',
  'restored',
  'refused',
]

async function sendOneByOne(t: Test, world: CliWorld, from: Name): Promise<void> {
  for (const text of texts(commands, 'single')) {
    const { code, stderr } = await world.run(from, ['send', other(from), text, '--json'])
    if (code !== 0) t.fail(`send of ${from}: ${stderr}`)
  }
}

async function listAgain(t: Test, world: CliWorld, by: Name): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) {
    const { code, stdout, stderr } = await world.run(by, ['users', '--online', '--json'])
    t.equal(code, 0, stderr)
    t.same(
      jsonLines(stdout).map(({ username }) => username),
      names,
      'both listen',
    )
  }
}

const bodiesOf = (listener: RunningCli): unknown[] => listener.stdout.map(line => JSON.parse(line).body)
const eventsOf = (listener: RunningCli): unknown[] => listener.stderr.map(line => JSON.parse(line).event)

// Evidence: P4
t.test('an agent listens, sends and lists users in three processes at once, without conflicts', async t => {
  const { servers } = await startDeployment(t, { nodes: 2 })
  const [north = '', south = ''] = servers
  const server = { alice: north, bob: south }
  const world = await openCliWorld(t, north)
  await world.register(...names)
  const at = (name: Name) => ({ env: { AIMESSAGE_SERVER: server[name] } })
  const listeners = names.map(name => world.start(name, ['listen', '--json'], at(name)))
  await Promise.all(listeners.map(listener => listener.until(line => line.includes('"event":"listening"'))))

  await Promise.all(
    names.flatMap(name => [
      runSenderProcess(t, {
        // At another node than the listener: an agent may be connected to several nodes.
        server: server[other(name)],
        directory: world.directory(name),
        to: other(name),
        texts: texts(burst, 'burst'),
      }).then(code => t.equal(code, 0, `the sender of ${name}`)),
      sendOneByOne(t, world, name),
      listAgain(t, world, name),
    ]),
  )

  for (const [at, listener] of listeners.entries()) {
    await listener.lines(burst + commands)
    const bodies = bodiesOf(listener)
    const ofKind = (kind: string) => bodies.filter(body => String(body).startsWith(kind))
    t.same(ofKind('burst'), texts(burst, 'burst'), `${names[at]} got the burst in order, each message once`)
    t.same(ofKind('single'), texts(commands, 'single'), 'and the messages of the commands')
    t.same(bodies.length, burst + commands, 'and nothing else')
    t.same(
      eventsOf(listener).filter(event => disturbances.includes(String(event))),
      [],
      'undisturbed',
    )
    listener.child.kill('SIGINT')
    t.equal(await listener.end(), 0)
  }
})
