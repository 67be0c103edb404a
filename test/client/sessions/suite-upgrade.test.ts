import t, { type Test } from 'tap'
import { Client } from '../../../src/client/client.ts'
import { dialNode } from '../../../src/client/connection/dial-node.ts'
import type { SuitePolicy } from '../../../src/client/options.ts'
import { loadPeer } from '../../../src/client/records/crypto-records.ts'
import { MemoryDisk, openMemoryStore } from '../../../src/client/state/memory-store.ts'
import { activeSession, type Peer } from '../../../src/crypto/session/peer.ts'
import { parseUsername } from '../../../src/protocol/names.ts'
import { receiveSome, textsOf } from '../../../tools/clients/agents.ts'
import { startTestNode } from '../../../tools/servers/running-node.ts'
import { type Frame, startLyingNode } from '../../fixtures/servers/lying-node.ts'

const hourMs = 3_600_000
const old: SuitePolicy = { maxSuite: 1 }

/** Two agents of a release that knows only suite 1, behind a node that may lie, with a manual clock. */
async function openWorld(t: Test) {
  const node = await startTestNode(t)
  const { server, lies } = await startLyingNode(t, node.wsUrl)
  const clock = { nowMs: Date.now() }
  const disks = { alice: new MemoryDisk(), bob: new MemoryDisk() }
  const open = async (name: 'alice' | 'bob', policy: SuitePolicy = {}): Promise<Client> => {
    const store = openMemoryStore(disks[name])
    const client = await Client.open({ server, store, dial: dialNode(), policy, now: () => clock.nowMs })
    t.teardown(() => client.close())
    return client
  }
  const known = (of: 'alice' | 'bob', peer: 'alice' | 'bob'): Promise<Peer> =>
    openMemoryStore(disks[of]).read(tx => loadPeer(tx, parseUsername(peer), 'localhost'))
  const suites = async () =>
    Promise.all([
      known('alice', 'bob').then(peer => activeSession(peer)?.suite),
      known('bob', 'alice').then(peer => activeSession(peer)?.suite),
    ])
  const bundles: Frame[] = []
  lies.toClient = frame => {
    if (frame.type === 'keys') bundles.push(frame)
    return frame
  }
  const [alice, bob] = [await open('alice', old), await open('bob', old)]
  await alice.register('alice')
  await bob.register('bob')
  return { alice, bob, open, known, suites, bundles, lies, clock }
}

/** Sends a message and waits for its `read` receipt. */
async function say(from: Client, to: Client, text: string): Promise<void> {
  const ears = new AbortController()
  const listening = (async () => {
    for await (const _none of from.receive({ signal: ears.signal }));
  })()
  const shown = receiveSome(to, 1)
  const { id } = await from.send(to.account?.username ?? '', text)
  const read = from.confirmed(id, 'read')
  t.same(textsOf(await shown), [text])
  await read
  ears.abort()
  await listening
}

// Evidence: K14
t.test('two agents that are updated change to the better suite, and cannot be made to change back', async t => {
  const world = await openWorld(t)
  const { open, suites, bundles, clock, lies } = world
  await say(world.alice, world.bob, 'in suite 1')
  await say(world.bob, world.alice, 'indeed')
  t.same(await suites(), [1, 1])
  const [before] = bundles
  t.ok(before)

  await world.alice.close()
  const alice = await open('alice')
  const asked = bundles.length
  for (let turn = 0; turn < 20; turn += 1) await say(alice, world.bob, `alice is up to date, ${turn}`)
  t.same(await suites(), [1, 1], 'bob is not updated yet')
  t.equal(bundles.length, asked + 1, 'one check, not one for each message')
  clock.nowMs += hourMs
  await say(alice, world.bob, 'an hour later')
  t.equal(bundles.length, asked + 2)

  await world.bob.close()
  const bob = await open('bob')
  await say(bob, alice, 'so am I')
  for (let turn = 0; turn < 5; turn += 1) {
    await say(alice, bob, `alice ${turn}`)
    await say(bob, alice, `bob ${turn}`)
  }
  t.same(await suites(), [2, 2])
  const settled = bundles.length
  for (const _hour of [1, 2, 3]) {
    clock.nowMs += hourMs
    await say(alice, bob, 'and on')
  }
  t.equal(bundles.length, settled, 'no more checks on the best suite')

  lies.toClient = frame => (frame.type === 'keys' ? { ...frame, bundle: before?.bundle } : frame)
  await t.rejects(alice.renewSession('bob'), { code: 'suite_refused' }, 'the old bundle is refused')
  lies.toClient = frame => frame
  await say(alice, bob, 'as before')
  t.same(await suites(), [2, 2])
})

t.test('a suite 1 message that crosses the start of a suite 2 session is requested again', async t => {
  const world = await openWorld(t)
  await world.bob.close()
  const bob = await world.open('bob')
  await bob.send('alice', 'to an alice of before')
  await world.alice.close()
  const alice = await world.open('alice')
  await alice.send('bob', 'from an alice of after')
  const listening = bob.receive()
  t.match((await listening.next()).value, { text: 'from an alice of after' })
  const more = listening.next()
  t.same(textsOf(await receiveSome(alice, 1)), ['to an alice of before'])
  t.same(await world.suites(), [2, 2])
  await bob.stopListening()
  await more
})

t.test('an agent that requires suite 2 sends nothing to a peer with suite 1, and the call fails', async t => {
  const { alice, open } = await openWorld(t)
  await alice.close()
  const strict = await open('alice', { minSuite: 2 })
  await t.rejects(strict.send('bob', 'secret'), { code: 'suite_refused' })
})
