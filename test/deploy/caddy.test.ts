import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { type Client, openClient, openMemoryStore, UnreachableError } from '../../src/client/node.ts'
import { endingWithParent } from '../../tools/processes.ts'
import { requireTool } from '../../tools/require-tool.ts'
import { startDeployment } from '../../tools/servers/deployment.ts'
import { freePort } from '../../tools/servers/redis.ts'

const caddy = requireTool(t, 'caddy')
const caddyfile = fileURLToPath(new URL('../../Caddyfile', import.meta.url))

const { nodes } = await startDeployment(t, { nodes: 2 })
const { server, caFile } = await startCaddy(nodes.map(({ url }) => new URL(url).host))

// Evidence: W1, W4
t.test('agents talk over wss through Caddy, and continue when the node of one agent ends', async t => {
  const [alice, bob] = await Promise.all(['alice', 'bob'].map(name => enter(t, name)))
  if (!alice || !bob) throw new Error('no agent has registered')
  const heard = bob.receive()
  await alice.send('bob', 'over TLS')
  t.match((await heard.next()).value, { from: 'alice', text: 'over TLS' })
  for (const node of nodes.slice(1)) t.equal(await node.stop(), 0)
  await alice.send('bob', 'and after a node went')
  t.match((await heard.next()).value, { from: 'alice', text: 'and after a node went' })
})

t.test('a client that does not trust the certificate does not connect', async t => {
  const client = await openClient({ server, store: openMemoryStore() })
  t.teardown(() => client.close())
  await t.rejects(client.register('mallory'), UnreachableError)
})

async function enter(t: { teardown(end: () => Promise<void>): unknown }, name: string): Promise<Client> {
  const client = await openClient({ server, store: openMemoryStore(), caFile })
  t.teardown(() => client.close())
  await client.register(name)
  return client
}

/** Runs Caddy with the Caddyfile of the project for `localhost`, with a certificate of Caddy's own authority. */
async function startCaddy(upstreams: readonly string[]) {
  const directory = mkdtempSync(join(tmpdir(), 'aimessage-caddy-'))
  const [port, httpPort] = [await freePort(), await freePort()]
  const config = join(directory, 'Caddyfile')
  writeFileSync(
    config,
    `{\n\tadmin off\n\tskip_install_trust\n\thttp_port ${httpPort}\n\tstorage file_system ${directory}\n}\nimport ${caddyfile}\n`,
  )
  const child = spawn(...endingWithParent(caddy, ['run', '--adapter', 'caddyfile', '--config', config]), {
    env: { HOME: directory, DOMAIN: `localhost:${port}`, NODES: upstreams.join(' ') },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const exited = once(child, 'exit')
  t.teardown(async () => {
    child.kill('SIGTERM')
    await exited
    rmSync(directory, { recursive: true, force: true })
  })
  await untilServing(child.stderr)
  return { server: `wss://localhost:${port}`, caFile: join(directory, 'pki/authorities/local/root.crt') }
}

async function untilServing(log: NodeJS.ReadableStream): Promise<void> {
  const lines: string[] = []
  // Read until the end: a full pipe would block Caddy.
  const serving = new Promise<void>(resolve => {
    createInterface({ input: log }).on('line', line => {
      lines.push(line)
      if (line.includes('serving initial configuration')) resolve()
    })
  })
  const ended = once(log, 'end').then(() => {
    throw new Error(`Caddy ended:\n${lines.join('\n')}`)
  })
  await Promise.race([serving, ended])
}
