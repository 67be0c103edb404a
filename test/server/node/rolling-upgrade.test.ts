import t, { type Test } from 'tap'
import { readConfig } from '../../../src/server/base/config.ts'
import { storeOptions } from '../../../src/server/open-store.ts'
import { RedisSetupError } from '../../../src/server/store/redis/connection/check-server.ts'
import { schemaKey } from '../../../src/server/store/redis/connection/keys.ts'
import type { Schema } from '../../../src/server/store/redis/connection/schema-version.ts'
import { openRedisStore } from '../../../src/server/store/redis/redis-store.ts'
import type { Store } from '../../../src/server/store/store.ts'
import { receiveSome, registerAgent, textsOf } from '../../../tools/clients/agents.ts'
import { dialPort } from '../../../tools/net/balancer.ts'
import { FaultProxy } from '../../../tools/net/fault-proxy.ts'
import { startRedis } from '../../../tools/servers/redis.ts'
import { type RunningNode, startTestNode } from '../../../tools/servers/running-node.ts'

/** Consecutive releases: each can read what the next one writes. */
const releases = {
  first: { oldest: 1, writes: 1, newest: 2 },
  second: { oldest: 1, writes: 2, newest: 3 },
  third: { oldest: 2, writes: 3, newest: 4 },
} satisfies Record<string, Schema>

const openRelease = (url: string, schema: Schema): Promise<Store> =>
  openRedisStore(storeOptions(readConfig({})), { url, schema })

/** Three slots for nodes behind one address. A client reaches a slot whose node accepts connections. */
async function startPlaces(t: Test, url: string, schema: Schema) {
  const start = async (release: Schema) => startTestNode(t, {}, { store: await openRelease(url, release) })
  const places = await Promise.all([1, 2, 3].map(() => start(schema)))
  const open = new Set<RunningNode>(places)
  let turn = 0
  const front = await FaultProxy.listen(() => dialPort([...open][turn++ % open.size]?.port ?? 0))
  t.teardown(() => front.close())
  return {
    server: `ws://127.0.0.1:${front.port}/ws`,
    /** Replaces the nodes slot by slot: the old node drains, and the new node takes over its slot. */
    roll: async (release: Schema) => {
      for (const [at, old] of places.entries()) {
        open.delete(old)
        await old.close()
        const next = await start(release)
        places[at] = next
        open.add(next)
      }
    },
  }
}

// Evidence: S4, N2
t.test('nodes of two releases work side by side: a rolling upgrade under load, and back, loses nothing', async t => {
  const redis = await startRedis(t)
  const { server, roll } = await startPlaces(t, redis.url, releases.first)
  const [alice, bob] = [await registerAgent(t, server, 'alice'), await registerAgent(t, server, 'bob')]
  t.equal(await redis.cli('GET', schemaKey), '1')
  let isOver = false
  const sent: string[] = []
  const sending = (async () => {
    for (let at = 0; !isOver; at += 1) {
      sent.push(`m${at}`)
      await alice.send('bob', `m${at}`)
    }
  })()
  const received: (string | undefined)[] = []
  const receiving = (async () => {
    while (!isOver || received.length < sent.length) received.push(...textsOf(await receiveSome(bob, 1)))
  })()
  await roll(releases.second)
  t.equal(await redis.cli('GET', schemaKey), '2', 'the newer release has stored the schema that it writes')
  await roll(releases.first)
  t.equal(await redis.cli('GET', schemaKey), '2', 'and the stored value stays')
  await roll(releases.second)
  await roll(releases.third)
  isOver = true
  await alice.send('bob', 'last')
  sent.push('last')
  await sending
  await receiving
  t.comment(`${sent.length} messages over four rolls`)
  t.same(received, sent, 'all arrived, in order, once')
})

// Evidence: S4
t.test('a release that is too old, or skips a release, does not start and names the release that does', async t => {
  const redis = await startRedis(t)
  const start = async (schema: Schema) => (await openRelease(redis.url, schema)).close()
  await start(releases.first)
  const skips = { oldest: 2, writes: 3, newest: 3 }
  await t.rejects(start(skips), {
    name: 'RedisSetupError',
    message: /schema 1, .* knows 2 to 3; run the version in between/,
  })
  await start(releases.second)
  await start(releases.third)
  await t.rejects(start(releases.first), { message: /schema 3, .* knows 1 to 2; run the version that wrote it/ })
  await t.rejects(start(releases.first), RedisSetupError)
  t.equal(await redis.cli('GET', schemaKey), '3')
})
