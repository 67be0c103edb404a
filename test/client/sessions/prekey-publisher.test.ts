import t, { type Test } from 'tap'
import { Client } from '../../../src/client/client.ts'
import { dialNode } from '../../../src/client/connection/dial-node.ts'
import type { ClientEvents } from '../../../src/client/node.ts'
import { openMemoryStore } from '../../../src/client/state/memory-store.ts'
import { decodeBundle } from '../../../src/crypto/keys/bundle.ts'
import { parseUsername } from '../../../src/protocol/names.ts'
import { decodeBase64Url } from '../../../src/util/bytes.ts'
import { receiveAll, receiveSome, registerAgent, textsOf } from '../../../tools/clients/agents.ts'
import { type RunningNode, startTestNode } from '../../../tools/servers/running-node.ts'

const dayMs = 86_400_000
const bob = parseUsername('bob')

const next = <Name extends keyof ClientEvents>(client: Client, name: Name): Promise<ClientEvents[Name]> =>
  new Promise(resolve => {
    const stop = client.on(name, event => {
      stop()
      resolve(event)
    })
  })

async function openTimed(t: Test, server: string, clock: { nowMs: number }, store = openMemoryStore()) {
  const client = await Client.open({ server, store, dial: dialNode(), now: () => clock.nowMs })
  t.teardown(() => client.close())
  return client
}

/** Several callers fetch the keys, because a node gives one caller only a few per minute. */
async function drain({ store }: RunningNode): Promise<void> {
  for (let at = 0; at < 120; at += 1) {
    await store.keys.fetch(bob, parseUsername(`mallory-${at % 10}`), `request-${at}`)
  }
}

async function publishedBundle({ store }: RunningNode) {
  const keys = await store.keys.fetch(bob, parseUsername('mallory'), `look-${Math.random()}`)
  if (typeof keys === 'string') throw new Error(keys)
  return decodeBundle(decodeBase64Url(keys.bundle))
}

t.test('an agent without one-time keys can still get messages, and uploads new keys when it listens', async t => {
  const node = await startTestNode(t)
  const recipient = await registerAgent(t, node.wsUrl, 'bob')
  const alice = await registerAgent(t, node.wsUrl, 'alice')
  await drain(node)
  t.same(await node.store.keys.count(bob), { oneTimeKeys: 0, oneTimeKemKeys: 0 })
  await alice.send('bob', 'without a one-time key')
  const [low, published] = [next(recipient, 'keys-low'), next(recipient, 'published')]
  t.same(textsOf(await receiveSome(recipient, 1)), ['without a one-time key'])
  t.same(await low, { oneTimeKeys: 0, oneTimeKemKeys: 0 })
  t.same(await published, { oneTimeKeys: 100, oneTimeKemKeys: 20 })
})

t.test('prekeys are rotated after a week, and messages encrypted to the old ones are decrypted', async t => {
  const node = await startTestNode(t)
  const clock = { nowMs: Date.now() }
  const recipient = await openTimed(t, node.wsUrl, clock)
  await recipient.register('bob')
  const before = await publishedBundle(node)
  const alice = await registerAgent(t, node.wsUrl, 'alice')
  await drain(node)
  await alice.send('bob', 'to the old ones')
  await recipient.logout()
  clock.nowMs += 8 * dayMs
  await recipient.connect()
  t.same(textsOf(await receiveSome(recipient, 1)), ['to the old ones'])
  const after = await publishedBundle(node)
  t.not(after.signedPrekey.id, before.signedPrekey.id)
  t.not(after.lastResortKem.id, before.lastResortKem.id)
  t.ok(after.seq > before.seq)
})

t.test('the next message renews a session that is a week old, once, and no message is lost or shown twice', async t => {
  const node = await startTestNode(t)
  const clock = { nowMs: Date.now() }
  const alice = await openTimed(t, node.wsUrl, clock)
  await alice.register('alice')
  const recipient = await registerAgent(t, node.wsUrl, 'bob')
  await alice.send('bob', 'alice 0')
  await receiveSome(recipient, 1)
  await recipient.send('alice', 'bob 0')
  t.same(textsOf(await receiveSome(alice, 1)), ['bob 0'])
  const resets: ClientEvents['peer-reset'][] = []
  recipient.on('peer-reset', event => resets.push(event))
  const renewed = next(alice, 'session')
  clock.nowMs += 7 * dayMs
  await Promise.all([1, 2, 3].map(at => alice.send('bob', `alice ${at}`)))
  t.same(await renewed, { peer: 'bob', initiated: true })
  await alice.send('bob', 'alice 4')
  t.same(textsOf(await receiveSome(recipient, 4)), ['alice 1', 'alice 2', 'alice 3', 'alice 4'])
  t.same(await receiveAll(recipient), [])
  t.match(resets, [{ peer: 'alice', reason: 'renewal', resent: 0 }])
})
