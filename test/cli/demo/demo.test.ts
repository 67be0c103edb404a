import t from 'tap'
import { temporaryDirectory } from '../../../tools/clients/agents.ts'
import { jsonLines, runCli, startCli } from '../../fixtures/cli/cli.ts'

t.test('demo shows a conversation that the node cannot read', async t => {
  const { code, stdout, stderr } = await runCli(t, ['demo', '--json'])
  t.same([code, stderr], [0, ''])
  const steps = jsonLines(stdout)
  t.same(
    steps.map(({ step }) => step),
    steps.map((_, index) => index + 1),
  )
  const facts = Object.assign({}, ...steps)
  t.match(facts, { queued: true, waiting: 1, initiated: true, verified: 'first-use', isSame: true, isReadable: false })
  t.match(
    steps.filter(({ text, from }) => text && from),
    [
      { from: 'alice', text: /build on main is broken/ },
      { from: 'bob', text: /main is green again/ },
    ],
  )
})

t.test('the output of demo in a pipe has lines of at most 120 columns, and no colours', async t => {
  const { code, stdout } = await runCli(t, ['demo'])
  t.equal(code, 0)
  t.notMatch(stdout, '\x1b')
  t.same(
    stdout.split('\n').filter(line => line.length > 120),
    [],
  )
})

t.test('the commands at the end of demo work', async t => {
  const { stdout } = await runCli(t, ['demo', '--json'])
  const { nextCommands } = jsonLines(stdout).at(-1) ?? {}
  const [serve, ...others] = parseCommands(nextCommands)
  const node = startCli(t, serve ?? [], { env: { PORT: '0' } })
  const listening = await node.until(line => line.includes('"msg":"listening"'))
  const env = {
    AIMESSAGE_SERVER: String(JSON.parse(listening).url),
    AIMESSAGE_HOME: await temporaryDirectory(t),
  }
  const listen = others.pop() ?? []
  for (const args of others) t.equal((await runCli(t, args, { env })).code, 0, args.join(' '))
  const heard = await runCli(t, [...listen, '--count', '1', '--json'], { env })
  t.match(jsonLines(heard.stdout), [{ from: 'alice', body: 'hello' }])
})

/** Returns the arguments of each `aimessage …`, without the quotes that a shell removes. */
function parseCommands(commands: unknown): string[][] {
  if (!Array.isArray(commands)) throw new Error('the demonstration names no commands')
  return commands.map(command => String(command).replaceAll('"', '').split(' ').slice(1))
}
