import { randomUUID } from 'node:crypto'
import t from 'tap'
import { openRedisStore } from '../../../../src/server/store/redis/redis-store.ts'
import { type RedisProcess, startRedis } from '../../../../tools/servers/redis.ts'
import { alice, append, bob, carol, contractOptions, item, register } from '../contract/world.ts'

/** Commands that clients sent, by name, since the last look; those that a script runs are counted, too. */
async function takeCounts(redis: RedisProcess): Promise<Map<string, number>> {
  const stats = String(await redis.cli('INFO', 'commandstats'))
  await redis.cli('CONFIG', 'RESETSTAT')
  return new Map(
    [...stats.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)].map(([, name = '', calls]) => [name, Number(calls)]),
  )
}

// Evidence: L7
t.test('who may write to whom costs a message no call: a sender is asked about once, a contact noted once', async t => {
  const redis = await startRedis(t)
  const store = await openRedisStore({ ...contractOptions, nodeId: randomUUID() }, { url: redis.url })
  t.teardown(() => store.close())
  await register(store, alice, bob, carol)
  await store.privacy.setWriters(alice, 'contacts')
  await store.privacy.setRule(bob, carol, 'blocked')
  let ids = 0
  const send = async (from: typeof alice, to: typeof alice) => {
    ids += 1
    await append(store, item(`m${ids}`, { from, to }))
  }
  const pairs = [
    [carol, carol],
    [alice, bob],
    [bob, alice],
  ] as const
  // Scripts are loaded, and whoever is written to for the first time is marked as due.
  for (const [from, to] of pairs) await send(from, to)
  await takeCounts(redis)
  const rounds = 100
  const cost = async ([from, to]: (typeof pairs)[number]) => {
    for (let round = 0; round < rounds; round += 1) await send(from, to)
    const counts = await takeCounts(redis)
    return { scripts: counts.get('evalsha'), hget: counts.get('hget') ?? 0 }
  }
  const [plain, fromKeeper, toKeeper] = [await cost(pairs[0]), await cost(pairs[1]), await cost(pairs[2])]
  t.comment(`of ${rounds} messages: ${JSON.stringify({ plain, fromKeeper, toKeeper })}`)
  // Renewals of the lease run beside, one in three seconds.
  const near = (count = 0) => count >= rounds && count <= rounds + 3
  for (const { scripts } of [plain, fromKeeper, toKeeper]) t.ok(near(scripts), 'one script a message')
  t.equal(fromKeeper.hget - plain.hget, rounds, 'the rule that bob has of alice is one look inside of it')
  t.equal(toKeeper.hget - plain.hget, rounds, 'and so is the one of alice')
})
