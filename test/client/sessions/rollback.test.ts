import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { type Client, openDirectoryStore } from '../../../src/client/node.ts'
import { lastOrder } from '../../../src/client/records/crypto-records.ts'
import { decodeMessage } from '../../../src/crypto/messages/message.ts'
import { decodeBase64Url, toHex } from '../../../src/util/bytes.ts'
import {
  copyState,
  openAgentAt,
  receiveSome,
  registerAgent,
  temporaryDirectory,
  textsOf,
} from '../../../tools/clients/agents.ts'
import { startTestNode } from '../../../tools/servers/running-node.ts'
import { startLyingNode } from '../../fixtures/servers/lying-node.ts'

/** Records every message key that a client uses, as its position in the ratchet, and the ciphertexts made with it. */
async function startKeyWatch(t: Test, wsUrl: string) {
  const uses = new Map<string, Set<string>>()
  const { server, lies } = await startLyingNode(t, wsUrl)
  lies.toNode = frame => {
    if ((frame.type === 'send' || frame.type === 'key_exchange') && typeof frame.body === 'string') {
      const message = decodeMessage(decodeBase64Url(frame.body))
      const inner = message.type === 'prekey' ? message.inner : message
      if (inner.type === 'ratchet') {
        const place = `${toHex(inner.sid)} ${toHex(inner.header.dh)} ${inner.header.n}`
        uses.set(place, (uses.get(place) ?? new Set()).add(toHex(inner.sealed)))
      }
    }
    return frame
  }
  const twice = () => [...uses].filter(([, bodies]) => bodies.size > 1).map(([place]) => place)
  return { server, uses, twice }
}

const restoredOf = (client: Client): Promise<{ peers: number; again: boolean }> =>
  new Promise(resolve => client.on('restored', resolve))

async function orderIn(directory: string): Promise<number> {
  const store = await openDirectoryStore(directory)
  const order = await store.read(lastOrder)
  await store.close()
  return order
}

// Evidence: K11
t.test('a state that was restored from an older copy is detected, and no message key is used twice', async t => {
  const node = await startTestNode(t)
  const watch = await startKeyWatch(t, node.wsUrl)
  const directory = await temporaryDirectory(t)
  const [current, copy] = [join(directory, 'current'), join(directory, 'copy')]
  const bob = await registerAgent(t, watch.server, 'bob')
  const carol = await registerAgent(t, watch.server, 'carol')
  const before = await openAgentAt(t, watch.server, current)
  await before.register('alice')
  await before.send('bob', 'a 0')
  await before.send('carol', 'hello carol')
  await bob.send('alice', 'b 0')
  t.same(textsOf(await receiveSome(bob, 1)), ['a 0'])
  t.same(textsOf(await receiveSome(before, 1)), ['b 0'])
  await before.close()
  await copyState(current, copy)

  const original = await openAgentAt(t, watch.server, current)
  for (const at of [1, 2, 3]) await original.send('bob', `a ${at}`)
  t.same(textsOf(await receiveSome(bob, 3)), ['a 1', 'a 2', 'a 3'])
  await bob.send('alice', 'b 1')
  t.same(textsOf(await receiveSome(original, 1)), ['b 1'])
  await original.close()
  await bob.send('alice', 'b 2, for the copy')

  const restored = await openAgentAt(t, watch.server, copy)
  const event = restoredOf(restored)
  const resets: string[] = []
  for (const client of [bob, carol]) client.on('peer-reset', ({ reason }) => resets.push(reason))
  const atBob = receiveSome(bob, 2)
  const atCarol = receiveSome(carol, 2)
  await restored.send('bob', 'a 4, from the copy')
  t.same(await event, { peers: 2, again: false }, 'detected before anything is sent')
  t.same(textsOf(await receiveSome(restored, 1)), ['b 2, for the copy'], 'messages in flight are repaired')
  await restored.send('bob', 'a 5')
  await restored.send('carol', 'still me')
  t.same(textsOf(await atBob), ['a 4, from the copy', 'a 5'], 'no message is shown again')
  t.same(textsOf(await atCarol), ['hello carol', 'still me'])
  const answered = receiveSome(restored, 2)
  await carol.send('alice', 'I see')
  await bob.send('alice', 'so do I')
  t.same(textsOf(await answered).sort(), ['I see', 'so do I'])
  t.same(resets, ['rollback', 'rollback'], 'each peer gets one reset')
  t.ok(watch.uses.size > 10)
  t.same(watch.twice(), [], 'no message key was used for two plaintexts')
})

t.test('an agent that restarts from its own state is not taken for a copy', async t => {
  const node = await startTestNode(t)
  const directory = await temporaryDirectory(t)
  const bob = await registerAgent(t, node.wsUrl, 'bob')
  for (let run = 0; run < 4; run += 1) {
    const alice = await openAgentAt(t, node.wsUrl, directory)
    alice.on('restored', () => t.fail('taken for a copy'))
    if (run === 0) await alice.register('alice')
    await Promise.all([0, 1, 2].map(at => alice.send('bob', `${run} ${at}`)))
    t.equal((await receiveSome(bob, 3)).length, 3)
    await alice.close()
  }
})

t.test('two processes that use copies of one state at the same time both recover', async t => {
  const node = await startTestNode(t)
  const watch = await startKeyWatch(t, node.wsUrl)
  const directory = await temporaryDirectory(t)
  const [current, copy] = [join(directory, 'current'), join(directory, 'copy')]
  const bob = await registerAgent(t, watch.server, 'bob')
  const first = await openAgentAt(t, watch.server, current)
  await first.register('alice')
  await first.send('bob', '0')
  await first.close()
  await copyState(current, copy)
  const one = await openAgentAt(t, watch.server, current)
  const other = await openAgentAt(t, watch.server, copy)
  await one.send('bob', '1')
  await other.send('bob', '2')
  const [oneRestored, otherRestored] = [restoredOf(one), restoredOf(other)]
  await one.send('bob', '3')
  await Promise.race([oneRestored, otherRestored])
  const texts = textsOf(await receiveSome(bob, 4))
  t.same([...texts].sort(), ['0', '1', '2', '3'])
  t.same(watch.twice(), [])
})

t.test('17.18 a slow node delays no reservation: a copy from before the last messages is recognized', async t => {
  const node = await startTestNode(t)
  const { server, lies } = await startLyingNode(t, node.wsUrl)
  const [directory, copy] = [await temporaryDirectory(t), join(await temporaryDirectory(t), 'copy')]
  const bob = await registerAgent(t, node.wsUrl, 'bob')
  const first = await openAgentAt(t, server, directory)
  await first.register('alice')
  await first.send('bob', 'hello')
  await receiveSome(bob, 1)
  await first.close()

  let reserved = 0
  lies.toNode = frame => {
    if (frame.type === 'reserve') reserved = Number(frame.upTo)
    return frame
  }
  lies.toClient = frame => (frame.type === 'reserved' ? undefined : frame)
  const original = await openAgentAt(t, server, directory)
  await original.send('bob', 'one')
  await copyState(directory, copy)
  const order = await orderIn(copy)
  await original.send('bob', 'two')
  await receiveSome(bob, 2)
  while (reserved <= order + 1_024) await delay(5)
  await original.close()
  delete lies.toClient

  const restored = await openAgentAt(t, server, copy)
  const recognized = restoredOf(restored)
  await restored.send('bob', 'three')
  await recognized
  t.same(textsOf(await receiveSome(bob, 1)), ['three'])
})
