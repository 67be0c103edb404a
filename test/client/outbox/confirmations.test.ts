import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t, { type Test } from 'tap'
import { MemoryDisk, openMemoryStore } from '../../../src/client/state/memory-store.ts'
import {
  openAgent,
  openAgentAt,
  receiveSome,
  registerAgent,
  temporaryDirectory,
  textsOf,
} from '../../../tools/clients/agents.ts'
import { compiledProgram, nodeEndingWithParent } from '../../../tools/processes.ts'
import { startTestNode } from '../../../tools/servers/running-node.ts'
import { startAgentProcess } from '../../fixtures/processes/agent-process.ts'

/** Starts a process that sends one message, prints each confirmation, and does not listen. */
function startFollower(t: Test, options: { server: string; directory: string; to: string; text: string }) {
  const script = compiledProgram('test/fixtures/processes/following-main')
  const child = spawn(...nodeEndingWithParent(script, JSON.stringify(options)), {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const heard = async (): Promise<unknown> => JSON.parse((await lines.next()).value ?? 'null')
  return { heard, ended: once(child, 'close') }
}

t.test('a process that does not listen sees the receipts that another process of its agent receives', async t => {
  const node = await startTestNode(t)
  const server = node.wsUrl
  const directory = join(await temporaryDirectory(t), 'alice')
  const first = await openAgentAt(t, server, directory)
  await first.register('alice')
  await first.close()
  const bob = await registerAgent(t, server, 'bob')
  startAgentProcess(t, { server, directory })
  const follower = startFollower(t, { server, directory, to: 'bob', text: 'are you there?' })
  const messages = bob.receive()
  const { value: message } = await messages.next()
  t.equal(message?.text, 'are you there?')
  t.match(await follower.heard(), { id: message?.id, state: 'delivered' })
  await message?.ack()
  t.match(await follower.heard(), { id: message?.id, state: 'read' })
  t.same((await follower.ended)[0], 0)
  await messages.return()
})

t.test('a late caller gets a stored confirmation at once, and a caller with an unknown id gets none', async t => {
  const node = await startTestNode(t)
  const disk = new MemoryDisk()
  const alice = await registerAgent(t, node.wsUrl, 'alice', openMemoryStore(disk))
  const bob = await registerAgent(t, node.wsUrl, 'bob')
  const { id } = await alice.send('bob', 'hello')
  const read = alice.confirmed(id, 'read')
  const ears = alice.receive().next()
  t.same(textsOf(await receiveSome(bob, 1)), ['hello'])
  await read
  const later = await openAgent(t, node.wsUrl, openMemoryStore(disk))
  await later.confirmed(id, 'delivered')
  await later.confirmed(id, 'read')
  await t.rejects(later.confirmed('unknown', 'read', { signal: AbortSignal.timeout(20) }), { name: 'TimeoutError' })
  await alice.stopListening()
  await ears
})

t.test('every process that waits for a confirmation gets an error when the message is given up', async t => {
  const node = await startTestNode(t)
  const disk = new MemoryDisk()
  const alice = await registerAgent(t, node.wsUrl, 'alice', openMemoryStore(disk))
  const other = await openAgent(t, node.wsUrl, openMemoryStore(disk))
  const refused = new Promise<{ id: string }>(resolve => alice.on('refused', resolve))
  const sending = alice.send('nobody', 'hello')
  sending.catch(() => {})
  const { id } = await refused
  await t.rejects(other.confirmed(id, 'read'), { code: 'unknown_user' })
  await t.rejects(sending, { code: 'unknown_user' })
})
