import t, { type Test } from 'tap'
import { Client } from '../../src/client/client.ts'
import { dialNode } from '../../src/client/connection/dial-node.ts'
import { encodeInteger } from '../../src/client/records/integer-record.ts'
import { keys } from '../../src/client/records/keys.ts'
import { MemoryDisk, openMemoryStore } from '../../src/client/state/memory-store.ts'
import { decodeBundle } from '../../src/crypto/keys/bundle.ts'
import { parseUsername } from '../../src/protocol/names.ts'
import { decodeBase64Url } from '../../src/util/bytes.ts'
import { receiveSome, registerAgent, textsOf } from '../../tools/clients/agents.ts'
import { type RunningNode, startTestNode } from '../../tools/servers/running-node.ts'

const dayMs = 86_400_000
const yearMs = 365 * dayMs
const bobName = parseUsername('bob')

async function openTimed(t: Test, server: string, clock: { nowMs: number }, disk = new MemoryDisk(), domain?: string) {
  const options = { server, store: openMemoryStore(disk), dial: dialNode(), now: () => clock.nowMs }
  const client = await Client.open({ ...options, ...(domain !== undefined && { domain }) })
  t.teardown(() => client.close())
  return client
}

async function bundleOf({ store }: RunningNode) {
  const keys = await store.keys.fetch(bobName, parseUsername('mallory'), `look-${Math.random()}`)
  if (typeof keys === 'string') throw new Error(keys)
  return decodeBundle(decodeBase64Url(keys.bundle))
}

for (const offMs of [-56 * yearMs, -30 * dayMs, 3 * yearMs]) {
  t.test(`17.20 a message queued while the clock was off by ${offMs / dayMs} days is sent`, async t => {
    const node = await startTestNode(t)
    const bob = await registerAgent(t, node.wsUrl, 'bob')
    const clock = { nowMs: Date.now() }
    const disk = new MemoryDisk()
    const before = await openTimed(t, node.wsUrl, clock, disk)
    await before.register('alice')
    await before.send('bob', 'first')
    await receiveSome(bob, 1)
    await before.close()
    clock.nowMs += offMs
    const offline = await openTimed(t, 'ws://127.0.0.1:9', clock, disk, 'localhost')
    await t.rejects(offline.send('bob', 'queued', { signal: AbortSignal.timeout(300) }))
    await offline.close()
    clock.nowMs -= offMs
    const alice = await openTimed(t, node.wsUrl, clock, disk)
    alice.on('refused', ({ error }) => t.fail(`given up: ${error.message}`))
    await alice.send('bob', 'now')
    t.same(textsOf(await receiveSome(bob, 2)), ['queued', 'now'])
  })
}

t.test('17.20 after a clock that was years ahead, the owner publishes above the bundle that its node has', async t => {
  const node = await startTestNode(t)
  const clock = { nowMs: Date.now() }
  const disk = new MemoryDisk()
  const bob = await openTimed(t, node.wsUrl, clock, disk)
  await bob.register('bob')
  await bob.close()
  const copy = new MemoryDisk()
  const records = await openMemoryStore(disk).read(tx => tx.list(''))
  await openMemoryStore(copy).transaction(tx => {
    for (const [key, value] of records) tx.put(key, value)
  })
  clock.nowMs += 10 * yearMs
  const ahead = await openTimed(t, node.wsUrl, clock, disk)
  const published = new Promise<void>(resolve => {
    const look = async (): Promise<void> =>
      (await bundleOf(node)).seq > Date.now() / 1_000 + 9 * 365 * 86_400 ? resolve() : void setTimeout(look, 50)
    void look()
  })
  await ahead.connect()
  await published
  await ahead.close()
  clock.nowMs -= 10 * yearMs
  const future = await bundleOf(node)
  const back = await openTimed(t, node.wsUrl, clock, copy)
  back.on('failed', ({ error }) => t.fail(error.message))
  // The copy's keys are a week old: it has to publish.
  clock.nowMs += 8 * dayMs
  await back.connect()
  const alice = await registerAgent(t, node.wsUrl, 'alice')
  await alice.send('bob', 'to the new keys')
  t.same(textsOf(await receiveSome(back, 1)), ['to the new keys'])
  const now = await bundleOf(node)
  t.equal(now.seq, future.seq + 1)
  t.notSame(now.signedPrekey.key, future.signedPrekey.key)
})

t.test('17.20 a card goes above the number of the card that the node has', async t => {
  const node = await startTestNode(t)
  const clock = { nowMs: Date.now() }
  const disk = new MemoryDisk()
  const bob = await openTimed(t, node.wsUrl, clock, disk)
  await bob.register('bob')
  const card = { title: 'Bob', capabilities: [], acceptsRequests: false }
  clock.nowMs += 10 * yearMs
  await bob.cards.publish(card)
  await openMemoryStore(disk).transaction(tx => tx.put(keys.card(bobName), encodeInteger(5)))
  clock.nowMs -= 10 * yearMs
  await bob.cards.publish({ ...card, title: 'Bob, restored' })
  t.equal((await bob.cards.of('bob')).title, 'Bob, restored')
})
