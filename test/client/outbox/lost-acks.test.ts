import { once } from 'node:events'
import { connect } from 'node:net'
import t, { type Test } from 'tap'
import { type Client, openMemoryStore } from '../../../src/client/node.ts'
import { receiveAll, registerAgent, textsOf } from '../../../tools/clients/agents.ts'
import { FaultProxy } from '../../../tools/net/fault-proxy.ts'
import { startTestNodes } from '../../../tools/servers/running-node.ts'

/** A proxy in front of two nodes with one store: each connection goes to the next node. */
async function startProxy(t: Test) {
  const nodes = await startTestNodes(t, 2)
  const ports = nodes.map(({ wsUrl }) => Number(new URL(wsUrl).port))
  const taken: number[] = []
  const proxy = await FaultProxy.listen(async () => {
    const port = ports[taken.length % ports.length] ?? 0
    taken.push(port)
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    return socket
  })
  t.teardown(() => proxy.close())
  return { proxy, server: `ws://127.0.0.1:${proxy.port}`, direct: nodes[0]?.wsUrl ?? '', taken }
}

const numbered = (name: string, from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, index) => `${name} ${from + index}`)

/** Receives until the client closes. */
function listen(client: Client) {
  const shown: string[] = []
  const waiters: (() => void)[] = []
  void (async () => {
    for await (const message of client.receive()) {
      await message.ack()
      shown.push(message.text ?? '')
      for (const wake of waiters.splice(0)) wake()
    }
  })()
  const until = async (count: number): Promise<string[]> => {
    while (shown.length < count) await new Promise<void>(resolve => waiters.push(resolve))
    return shown
  }
  return { shown, until }
}

// Evidence: C7
t.test('messages whose acks were lost are pushed again and not shown again', async t => {
  const { proxy, server, direct } = await startProxy(t)
  const alice = await registerAgent(t, direct, 'alice')
  const bob = await registerAgent(t, server, 'bob')
  const queued: number[] = []
  bob.on('listening', event => queued.push(event.queued))
  const { shown, until } = listen(bob)
  await alice.send('bob', 'alice 0')
  await until(1)
  proxy.set({ kind: 'swallow', direction: 'up' })
  for (const text of numbered('alice', 1, 11)) await alice.send('bob', text)
  await until(11)
  const again = new Promise(resolve => bob.on('listening', resolve))
  proxy.reset()
  proxy.set({ kind: 'pass' })
  await again
  t.ok((queued.at(-1) ?? 0) >= 10, 'the node still had them')
  await alice.send('bob', 'alice 11')
  await until(12)
  t.same(shown, numbered('alice', 0, 12))
})

// Evidence: N7, C8
t.test('messages whose accepted frames were lost are sent again to another node and stored once, in order', async t => {
  const { proxy, server, direct, taken } = await startProxy(t)
  const bob = await registerAgent(t, direct, 'bob')
  const alice = await registerAgent(t, server, 'alice', openMemoryStore())
  await alice.send('bob', 'alice 0')
  const before = taken.length
  proxy.set({ kind: 'swallow', direction: 'down' })
  const sent = numbered('alice', 1, 11).map(text => alice.send('bob', text))
  // All of them are at the node before the connection breaks.
  const arrived: string[] = []
  for await (const message of bob.receive({ count: 11 })) arrived.push(message.text ?? '')
  proxy.reset()
  proxy.set({ kind: 'pass' })
  const later = alice.send('bob', 'alice 11')
  const accepted = await Promise.all([...sent, later])
  const [after] = taken.slice(before)
  t.ok(after !== undefined && after !== taken[before - 1], 'over a connection to the other node')
  const seqs = accepted.map(({ seq }) => seq)
  t.same(
    seqs,
    [...seqs].sort((a, b) => a - b),
  )
  t.equal(new Set(seqs).size, 11)
  t.same([...arrived, ...textsOf(await receiveAll(bob))], numbered('alice', 0, 12))
})
