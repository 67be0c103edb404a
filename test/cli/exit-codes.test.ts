import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import t from 'tap'
import { openDirectoryStore } from '../../src/client/node.ts'
import { registerAgent, temporaryDirectory } from '../../tools/clients/agents.ts'
import { listenOnLoopback } from '../../tools/net/listen.ts'
import { runNodeProcess } from '../../tools/servers/node.ts'
import { startTestNode } from '../../tools/servers/running-node.ts'
import { failureOf, jsonError, runCli } from '../fixtures/cli/cli.ts'
import { openCliWorld } from '../fixtures/cli/cli-world.ts'
import { startBusyServer } from '../fixtures/servers/busy-server.ts'

t.test('exit code 4: the server is unreachable, or is not an aimessage server', async t => {
  const { wsUrl, close } = await startTestNode(t)
  const { run, register } = await openCliWorld(t, wsUrl)
  await register('alice')
  await close()
  const commands = [['send', 'bob', 'hi'], ['recv'], ['listen'], ['users'], ['logout'], ['register', 'alice']]
  await Promise.all(
    commands.map(async args =>
      t.equal(failureOf(await run('alice', [...args, '--json'])), '4 unreachable', args.join(' ')),
    ),
  )
  const website = createServer((_request, response) => response.writeHead(404).end())
  t.teardown(() => website.close())
  const port = await listenOnLoopback(website)
  t.equal(failureOf(await run('alice', ['users', '--json', '--server', `http://127.0.0.1:${port}`])), '4 server_fault')
  const busy = await startBusyServer(t, 'Retry-After: 7\r\n')
  t.match(jsonError(await run('alice', ['users', '--json', '--server', busy])), { code: 'unreachable', retryAfter: 7 })
})

t.test('exit code 5: the local state has no identity, has another one, or is unreadable', async t => {
  const { wsUrl } = await startTestNode(t)
  const { run, register, home, directory } = await openCliWorld(t, wsUrl)
  const commands = [['whoami'], ['send', 'bob', 'hi'], ['recv'], ['listen'], ['users'], ['logout']]
  await Promise.all(
    commands.map(async args => {
      const result = await run('nobody', [...args, '--json'])
      t.equal(failureOf(result), '5 not_registered', args.join(' '))
      t.match(jsonError(result).message, /aimessage register NAME --agent nobody/)
    }),
  )
  await register('alice')
  t.equal(failureOf(await run('alice', ['register', 'carol', '--json'])), '5 already_registered')
  await writeFile(join(home, 'file'), 'not a directory')
  t.equal(failureOf(await run('file', ['whoami', '--json'])), '5 state_unreadable')
  await writeFile(join(directory('alice'), 'state.db'), 'garbage'.repeat(1_000))
  t.equal(failureOf(await run('alice', ['whoami', '--json'])), '5 state_unreadable')
})

// Evidence: U5
t.test('exit code 5: an agent whose registration failed; it can register another name', async t => {
  const { wsUrl } = await startTestNode(t)
  const { run, directory } = await openCliWorld(t, wsUrl)
  await registerAgent(t, wsUrl, 'taken')
  t.equal((await run('half', ['register', 'taken'])).code, 3)
  const store = await openDirectoryStore(directory('half'))
  await store.close()
  t.equal(failureOf(await run('half', ['whoami', '--json'])), '5 not_registered')
  t.match(await run('half', ['register', 'free']), { code: 0 }, 'it may try another name')
})

t.test('exit code 2: a node that cannot start gives the reason', async t => {
  const { port } = await startTestNode(t)
  const serve = (env: Record<string, string>) => runCli(t, ['serve'], { env })
  t.match(await serve({ PORT: 'many' }), { code: 2, stderr: /^PORT must be/ })
  t.match(await serve({ PORT: String(port) }), { code: 2, stderr: /^PORT \d+ is in use/ })
  t.match(await runNodeProcess({ PORT: 'many', PATH: process.env.PATH ?? '' }), { code: 2 }, 'the same without `serve`')
})

t.test('exit code 2: a certificate file that is missing or invalid', async t => {
  const directory = await temporaryDirectory(t)
  await writeFile(join(directory, 'none.pem'), 'hello')
  const { run } = await openCliWorld(t, 'wss://localhost:1')
  for (const [file, why] of [
    ['none.pem', /is not a readable PEM file/],
    ['missing.pem', /does not exist/],
  ] as const) {
    const result = await run('alice', ['register', 'alice', '--json', '--ca-file', join(directory, file)])
    t.equal(failureOf(result), '2 usage')
    t.match(jsonError(result).message, why)
  }
})
