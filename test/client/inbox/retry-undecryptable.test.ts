import t, { type Test } from 'tap'
import { Client } from '../../../src/client/client.ts'
import { dialNode } from '../../../src/client/connection/dial-node.ts'
import type { ClientEvents } from '../../../src/client/node.ts'
import { MemoryDisk, openMemoryStore } from '../../../src/client/state/memory-store.ts'
import { decodeBase64Url, encodeBase64Url } from '../../../src/util/bytes.ts'
import { receiveAll, receiveSome, registerAgent, textsOf } from '../../../tools/clients/agents.ts'
import { startTestNode } from '../../../tools/servers/running-node.ts'
import { type Frame, startLyingNode } from '../../fixtures/servers/lying-node.ts'

const hourMs = 3_600_000

/** A client with a manual clock. */
async function openTimed(t: Test, server: string, clock: { nowMs: number }, disk = new MemoryDisk()): Promise<Client> {
  const client = await Client.open({ server, store: openMemoryStore(disk), dial: dialNode(), now: () => clock.nowMs })
  t.teardown(() => client.close())
  return client
}

const next = <Name extends keyof ClientEvents>(client: Client, name: Name): Promise<ClientEvents[Name]> =>
  new Promise(resolve => {
    const stop = client.on(name, event => {
      stop()
      resolve(event)
    })
  })

const numbered = (count: number): string[] => Array.from({ length: count }, (_, at) => `alice ${at}`)

function spoil(frame: Frame): Frame {
  const body = decodeBase64Url(String(frame.body))
  body[body.length - 1] = (body.at(-1) ?? 0) ^ 1
  return { ...frame, body: encodeBase64Url(body) }
}

// Evidence: C14
t.test('a hundred damaged messages cost one reset, and all of them arrive', async t => {
  const node = await startTestNode(t)
  const { server, lies } = await startLyingNode(t, node.wsUrl)
  const alice = await registerAgent(t, node.wsUrl, 'alice')
  const bob = await registerAgent(t, server, 'bob')
  await alice.send('bob', 'hello')
  t.equal((await receiveSome(bob, 1)).length, 1)
  const resets: ClientEvents['peer-reset'][] = []
  alice.on('peer-reset', event => resets.push(event))
  const unreadable: ClientEvents['undecryptable'][] = []
  bob.on('undecryptable', event => unreadable.push(event))
  for (const text of numbered(100)) await alice.send('bob', text)
  let left = 100
  lies.toClient = frame => {
    if (frame.type !== 'message' || left === 0) return frame
    left -= 1
    return spoil(frame)
  }
  const repaired = next(bob, 'repaired')
  const listening = new AbortController()
  const aliceListens = (async () => {
    for await (const _none of alice.receive({ signal: listening.signal }));
  })()
  const shown = await receiveSome(bob, 100)
  t.same(textsOf(shown), numbered(100))
  t.same(await repaired, { peer: 'alice' })
  t.equal(unreadable.length, 100)
  t.match(unreadable[0], { from: 'alice', remedy: 'reset', aside: /^[0-9a-f]{32}$/ })
  t.match(resets, [{ peer: 'bob', reason: 'undecryptable' }])
  t.ok([100, 101].includes(resets[0]?.resent ?? 0), 'the receipt of the first message may arrive after the reset')
  listening.abort()
  await aliceListens
})

t.test('a reset that is not allowed yet is sent when the hour has passed, also by a later process', async t => {
  const node = await startTestNode(t)
  const { server, lies } = await startLyingNode(t, node.wsUrl)
  const clock = { nowMs: Date.now() }
  const disk = new MemoryDisk()
  const alice = await registerAgent(t, node.wsUrl, 'alice')
  const bob = await openTimed(t, server, clock, disk)
  await bob.register('bob')
  const aliceListens = alice.receive()
  const taking = aliceListens.next()
  taking.catch(() => {})
  await alice.send('bob', 'hello')
  await receiveSome(bob, 1)
  const spoilNext = () => {
    lies.toClient = frame => {
      if (frame.type !== 'message') return frame
      delete lies.toClient
      return spoil(frame)
    }
  }
  spoilNext()
  await alice.send('bob', 'one')
  t.same(textsOf(await receiveSome(bob, 1)), ['one'], 'the first message is repaired at once')

  spoilNext()
  await alice.send('bob', 'two')
  const second = next(bob, 'undecryptable')
  t.same(await receiveAll(bob), [])
  t.match(await second, { remedy: 'reset' })
  await bob.close()

  clock.nowMs += hourMs
  const later = await openTimed(t, server, clock, disk)
  t.same(textsOf(await receiveSome(later, 1)), ['two'])
  await alice.stopListening()
  await taking
})

t.test('a body over the handshake rate is decrypted later without a reset, and an event reports it', async t => {
  const node = await startTestNode(t)
  const clock = { nowMs: Date.now() }
  const disk = new MemoryDisk()
  const alice = await registerAgent(t, node.wsUrl, 'alice')
  const bob = await openTimed(t, node.wsUrl, clock, disk)
  await bob.register('bob')
  // Each body starts a session: three per minute are accepted.
  for (const text of numbered(4)) {
    await alice.renewSession('bob')
    await alice.send('bob', text)
  }
  const reported: ClientEvents['undecryptable'][] = []
  bob.on('undecryptable', event => reported.push(event))
  t.same(textsOf(await receiveAll(bob)), numbered(3))
  t.match(
    reported,
    [{ remedy: 'retry' }, { remedy: 'retry' }],
    'the reset with the fourth session, and the message after it',
  )
  await bob.close()

  clock.nowMs += 61_000
  const later = await openTimed(t, node.wsUrl, clock, disk)
  const recovered = next(later, 'recovered')
  t.same(textsOf(await receiveSome(later, 1)), ['alice 3'])
  t.equal((await recovered).from, 'alice')
})

t.test('events report a gap and its end', async t => {
  const node = await startTestNode(t)
  const { server, lies } = await startLyingNode(t, node.wsUrl)
  const alice = await registerAgent(t, node.wsUrl, 'alice')
  const bob = await registerAgent(t, server, 'bob')
  for (const text of numbered(5)) await alice.send('bob', text)
  let seen = 0
  lies.toClient = frame => {
    if (frame.type !== 'message') return frame
    seen += 1
    return seen === 2 ? [] : frame
  }
  const [gap, healed] = [next(bob, 'gap'), next(bob, 'gap-healed')]
  t.same(textsOf(await receiveSome(bob, 5)), numbered(5))
  t.match(await gap, { prev: Number })
  await healed
})
