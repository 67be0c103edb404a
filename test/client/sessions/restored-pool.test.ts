import t, { type Test } from 'tap'
import type { Client } from '../../../src/client/node.ts'
import { parseUsername } from '../../../src/protocol/names.ts'
import { receiveSome, registerAgent, textsOf } from '../../../tools/clients/agents.ts'
import { openTestStore, startTestNode, withFaults } from '../../../tools/servers/running-node.ts'
import { startLyingNode } from '../../fixtures/servers/lying-node.ts'
import { RestorableAgent } from '../../fixtures/worlds/restorable-agent.ts'

const bobName = parseUsername('bob')

/** Makes bob's state an older copy: he wrote on after the backup. */
async function makeOlder(bob: RestorableAgent, alice: Client): Promise<void> {
  await bob.client.send('alice', 'one')
  await receiveSome(alice, 1)
  await bob.backUp()
  await bob.client.send('alice', 'two')
  await receiveSome(alice, 1)
  await bob.stopAndRestore()
}

const once = (client: Client, name: 'restored' | 'published' | 'connected') =>
  new Promise<unknown>(resolve => client.on(name, resolve))

/** Registers agents that never met bob; each writes to him, and listens. */
async function writeAsStrangers(t: Test, server: string, count: number): Promise<string[]> {
  const names = Array.from({ length: count }, (_, at) => `stranger-${at}`)
  for (const name of names) {
    const stranger = await registerAgent(t, server, name)
    await stranger.send('bob', `from ${name}`)
    void (async () => {
      for await (const _ of stranger.receive());
    })()
  }
  return names.map(name => `from ${name}`).sort()
}

t.test('17.15 after a restore no dead one-time key is served: each of 25 strangers is read at once', async t => {
  const node = await startTestNode(t)
  const alice = await registerAgent(t, node.wsUrl, 'alice')
  const bob = await RestorableAgent.register(t, node.wsUrl, 'bob')
  await makeOlder(bob, alice)
  const client = await bob.reopen()
  const restored = once(client, 'restored')
  client.on('undecryptable', ({ from }) => from.startsWith('stranger') && t.fail(`${from} met a dead key`))
  await client.connect()
  await restored
  t.same(await node.store.keys.count(bobName), { oneTimeKeys: 100, oneTimeKemKeys: 20 })
  const expected = await writeAsStrangers(t, node.wsUrl, 25)
  t.same(textsOf(await receiveSome(client, 25)).sort(), expected)
})

t.test('17.15 the pool is replaced before anything else is done', async t => {
  const node = await startTestNode(t)
  const { server, lies } = await startLyingNode(t, node.wsUrl)
  const alice = await registerAgent(t, node.wsUrl, 'alice')
  const bob = await RestorableAgent.register(t, node.wsUrl, 'bob')
  await makeOlder(bob, alice)
  const frames: string[] = []
  lies.toNode = frame => {
    frames.push(frame.type === 'publish_keys' && frame.replace === true ? 'replace' : frame.type)
    return frame
  }
  const client = await bob.reopen(server)
  await client.send('alice', 'three')
  t.same(frames.slice(0, 2), ['authenticate', 'replace'])
  t.notOk(frames.slice(2).includes('replace'), 'it is replaced once')
})

t.test(
  '17.15 with a node of an earlier version the owner drains the dead keys, as far as the limit lets it',
  async t => {
    let openedAt = 0
    const windowMs = 2_000
    const store = openTestStore()
    const node = await startTestNode(
      t,
      {},
      {
        store: withFaults(store, {
          keys: {
            // A window of the fetch limit passes in two seconds instead of a minute.
            fetch: (name, requester, id) => {
              if (requester !== bobName) return store.keys.fetch(name, requester, id)
              openedAt ||= performance.now()
              const window = Math.floor((performance.now() - openedAt) / windowMs)
              return store.keys.fetch(name, parseUsername(`bob-${window}`), id)
            },
          },
        }),
      },
    )
    const { server, lies } = await startLyingNode(t, node.wsUrl)
    const alice = await registerAgent(t, node.wsUrl, 'alice')
    const bob = await RestorableAgent.register(t, server, 'bob')
    await makeOlder(bob, alice)
    lies.toNode = ({ replace: _ignored, ...frame }) => frame as typeof frame & { type: string }
    const client = await bob.reopen(server)
    client.on('undecryptable', ({ from }) => from.startsWith('stranger') && t.fail(`${from} met a dead key`))
    const published = once(client, 'published')
    await client.connect()
    await published
    t.same(await node.store.keys.count(bobName), { oneTimeKeys: 100, oneTimeKemKeys: 20 })
    const expected = await writeAsStrangers(t, node.wsUrl, 5)
    t.same(textsOf(await receiveSome(client, 5)).sort(), expected)
  },
)
