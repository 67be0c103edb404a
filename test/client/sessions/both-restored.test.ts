import t, { type Test } from 'tap'
import type { Client } from '../../../src/client/node.ts'
import { randomBytes } from '../../../src/crypto/provider.ts'
import { encodeBase64Url } from '../../../src/util/bytes.ts'
import { receiveSome, registerAgent } from '../../../tools/clients/agents.ts'
import { startTestNode } from '../../../tools/servers/running-node.ts'
import { startLyingNode } from '../../fixtures/servers/lying-node.ts'
import { RestorableAgent } from '../../fixtures/worlds/restorable-agent.ts'

/** Collects the texts that an agent shows, and waits for some of them. */
class Shown {
  readonly texts: string[] = []
  #wake = () => {}

  constructor(client: Client) {
    void (async () => {
      for await (const { text } of client.receive()) {
        this.texts.push(text ?? '')
        this.#wake()
      }
    })().catch(() => {})
  }

  /** Resolves when all of these are shown; rejects after a minute. */
  async until(wanted: string[]): Promise<void> {
    const end = performance.now() + 60_000
    while (wanted.some(text => !this.texts.includes(text))) {
      const leftMs = end - performance.now()
      const missing = wanted.filter(text => !this.texts.includes(text))
      if (leftMs <= 0) throw new Error(`not shown within a minute: ${missing.join(', ')}`)
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, leftMs)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }
}

/** Two agents that wrote to each other before and after a backup, and then go back to it, with mail under way. */
async function restoredPair(t: Test) {
  const node = await startTestNode(t)
  const alice = await RestorableAgent.register(t, node.wsUrl, 'alice')
  const bob = await RestorableAgent.register(t, node.wsUrl, 'bob')
  const exchange = async (at: number) => {
    await alice.client.send('bob', `a ${at}`)
    await receiveSome(bob.client, 1)
    await bob.client.send('alice', `b ${at}`)
    await receiveSome(alice.client, 1)
  }
  for (const at of [0, 1]) await exchange(at)
  await alice.backUp()
  await bob.backUp()
  for (const at of [2, 3, 4]) await exchange(at)
  await alice.client.send('bob', 'under way from alice')
  await bob.client.send('alice', 'under way from bob')
  await alice.stopAndRestore()
  await bob.stopAndRestore()
  return { node, alice, bob }
}

/** Both write and read what the other wrote, in both directions, twice. */
async function talk(alice: Client, bob: Client, [atAlice, atBob]: [Shown, Shown]): Promise<void> {
  for (const round of ['first', 'second']) {
    await Promise.all([alice.send('bob', `${round} of alice`), bob.send('alice', `${round} of bob`)])
    await Promise.all([atBob.until([`${round} of alice`]), atAlice.until([`${round} of bob`])])
  }
}

for (let run = 0; run < 4; run += 1) {
  t.test(`17.16 two restored agents that start together talk again within a minute (run ${run})`, async t => {
    const { alice, bob } = await restoredPair(t)
    const [a, b] = await Promise.all([alice.reopen(), bob.reopen()])
    await talk(a, b, [new Shown(a), new Shown(b)])
  })

  t.test(`17.16 two restored agents that start apart talk again within a minute (run ${run})`, async t => {
    const { alice, bob } = await restoredPair(t)
    const a = await alice.reopen()
    const atAlice = new Shown(a)
    await a.send('bob', 'before bob is back')
    const b = await bob.reopen()
    const atBob = new Shown(b)
    await talk(a, b, [atAlice, atBob])
    await atBob.until(['before bob is back'])
  })
}

t.test('17.16 two agents that are restored again and again talk again within a minute each time', async t => {
  const { alice, bob } = await restoredPair(t)
  for (let round = 0; round < 3; round += 1) {
    const [a, b] = [await alice.reopen(), await bob.reopen()]
    await talk(a, b, [new Shown(a), new Shown(b)])
    if (round % 2 === 0) await a.send('bob', 'on its way to a copy that is gone')
    await alice.stopAndRestore()
    await bob.stopAndRestore()
  }
})

t.test('17.17 a peer that was met after the backup is read by the restored agent, without help', async t => {
  const node = await startTestNode(t)
  const alice = await registerAgent(t, node.wsUrl, 'alice')
  const bob = await RestorableAgent.register(t, node.wsUrl, 'bob')
  await bob.client.send('alice', 'hello')
  await receiveSome(alice, 1)
  await bob.backUp()
  const peers = await Promise.all(
    Array.from({ length: 12 }, (_, at) => registerAgent(t, node.wsUrl, `met-${String(at).padStart(2, '0')}`)),
  )
  const reading = peers.map(peer => new Shown(peer))
  for (const [at, peer] of peers.entries()) {
    await peer.send('bob', `first ${at}`)
    await receiveSome(bob.client, 1)
    await bob.client.send(peer.account?.username ?? '', `answer ${at}`)
    await reading[at]?.until([`answer ${at}`])
  }
  await bob.stopAndRestore()
  const client = await bob.reopen()
  const shown = new Shown(client)
  const reports: string[] = []
  client.on('undecryptable', ({ remedy }) => reports.push(remedy))
  const wanted = peers.map((_, at) => `later ${at}`)
  for (const [at, peer] of peers.entries()) await peer.send('bob', `later ${at}`)
  await shown.until(wanted)
  t.notOk(reports.includes('none'), 'no message is given up')
  for (const [at, peer] of peers.entries()) await peer.send('bob', `at once ${at}`)
  await shown.until(peers.map((_, at) => `at once ${at}`))
})

t.test('17.17 strangers on unknown sessions get a bounded number of resets; the others wait for theirs', async t => {
  const node = await startTestNode(t)
  const bob = await registerAgent(t, node.wsUrl, 'bob')
  const { server, lies } = await startLyingNode(t, node.wsUrl)
  const mallories = await Promise.all(Array.from({ length: 14 }, (_, at) => registerAgent(t, server, `m-${at}`)))
  const unknown = encodeBase64Url(Uint8Array.from([1, 1, ...randomBytes(16), ...new Uint8Array(40 + 288)]))
  lies.toNode = frame => (frame.type === 'send' ? { ...frame, body: unknown } : frame)
  const sessions: string[] = []
  bob.on('session', ({ peer }) => sessions.push(peer))
  const remedies: string[] = []
  const all = new Promise<void>(resolve => {
    bob.on('undecryptable', ({ remedy }) => remedies.push(remedy) === 14 && resolve())
  })
  void new Shown(bob)
  for (const mallory of mallories) await mallory.send('bob', 'replaced by a message on an unknown session')
  await all
  t.same(new Set(remedies), new Set(['reset']))
  await bob.send('m-0', 'a message, so that the resets before it were made')
  t.ok(sessions.length <= 11, 'ten resets an hour for all strangers together')
})
