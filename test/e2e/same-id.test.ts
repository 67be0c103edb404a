import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { openClient, openDirectoryStore } from '../../src/client/node.ts'
import { keys } from '../../src/client/records/keys.ts'
import { Signal } from '../../src/util/signal.ts'
import {
  openAgentAt,
  receiveAll,
  receiveSome,
  registerAgent,
  temporaryDirectory,
  textsOf,
} from '../../tools/clients/agents.ts'
import { compiledProgram, nodeEndingWithParent } from '../../tools/processes.ts'
import { startDeployment } from '../../tools/servers/deployment.ts'
import { type Lie, startLyingNode } from '../fixtures/servers/lying-node.ts'

const pairs = 1_000

t.setTimeout(480_000)

/** Two proxies to the nodes. A `send` waits until it has also come through the other proxy; then both continue. */
async function startMeetingProxies(t: Test, nodes: string[]) {
  const held = new Map<unknown, () => void>()
  const met = new Set<unknown>()
  const meet: Lie = (frame, say) => {
    if (frame.type !== 'send' || met.has(frame.id)) return frame
    const other = held.get(frame.id)
    if (!other) {
      held.set(frame.id, () => say(frame))
      return []
    }
    met.add(frame.id)
    other()
    return frame
  }
  const addresses = await Promise.all(nodes.map(node => startLyingNode(t, node)))
  for (const { lies } of addresses) lies.toNode = meet
  return { addresses: addresses.map(({ server }) => server), met }
}

/** Puts messages into the outbox of a state while no node is reachable. */
async function fillOutbox(directory: string, drafts: readonly { to: string; text: string }[]): Promise<void> {
  const store = await openDirectoryStore(directory)
  const client = await openClient({ server: 'ws://127.0.0.1:9', store })
  const changed = new Signal()
  const stop = store.onChange(() => changed.notify())
  for (const { to, text } of drafts) client.send(to, text).catch(() => {})
  for (;;) {
    const { version } = changed
    if ((await store.read(tx => tx.list(keys.outboxes()))).length === drafts.length) break
    await changed.after(version)
  }
  stop()
  await client.close()
}

async function runOutbox(t: Test, options: { server: string; directory: string; skewMs: number }): Promise<unknown> {
  const script = compiledProgram('test/fixtures/processes/outbox-main')
  const child = spawn(...nodeEndingWithParent(script, JSON.stringify(options)), { stdio: 'inherit' })
  t.teardown(() => child.kill('SIGKILL'))
  return (await once(child, 'close'))[0]
}

/** One sender has room for 900 messages in an inbox. */
const names = ['bob', 'carol']
const texts = Array.from({ length: pairs / names.length }, (_, at) => `message ${at}`)

// Evidence: D6, C9
t.test('the same id sent over two nodes at once by two processes of one agent is stored and shown once', async t => {
  const { servers } = await startDeployment(t, { nodes: 2 })
  const [node = ''] = servers
  const directory = join(await temporaryDirectory(t), 'alice')
  const alice = await openAgentAt(t, node, directory)
  await alice.register('alice')
  const recipients = await Promise.all(names.map(name => registerAgent(t, node, name)))
  for (const to of names) await alice.send(to, 'hello')
  for (const recipient of recipients) await receiveSome(recipient, 1)
  await alice.close()
  await fillOutbox(
    directory,
    texts.flatMap(text => names.map(to => ({ to, text }))),
  )

  const { addresses, met } = await startMeetingProxies(t, servers)
  // With skewed clocks each process takes the other's outbox lease for expired, so both send the same messages.
  const codes = await Promise.all(
    addresses.map((server, at) => runOutbox(t, { server, directory, skewMs: at * 3_600_000 })),
  )
  t.same(codes, [0, 0])
  t.equal(met.size, pairs, 'each message was sent twice')

  for (const recipient of recipients) {
    const listening = new Promise<{ queued: number }>(resolve => recipient.on('listening', resolve))
    recipient.on('reordered', event => t.fail('out of order', { event }))
    t.strictSame(textsOf(await receiveSome(recipient, texts.length)), texts)
    t.equal((await listening).queued, texts.length, 'one entry of each')
    t.same(await receiveAll(recipient), [])
  }
})
