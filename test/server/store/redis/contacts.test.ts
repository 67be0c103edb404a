import { randomUUID } from 'node:crypto'
import t from 'tap'
import { openRedisStore } from '../../../../src/server/store/redis/redis-store.ts'
import { type RedisProcess, startRedis } from '../../../../tools/servers/redis.ts'
import { alice, append, bob, carol, contractOptions, item, Notices, register } from '../contract/world.ts'

/** Returns the commands since the last call, counted by name. Commands inside scripts are included. */
async function takeCounts(redis: RedisProcess): Promise<Map<string, number>> {
  const stats = String(await redis.cli('INFO', 'commandstats'))
  await redis.cli('CONFIG', 'RESETSTAT')
  return new Map(
    [...stats.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)].map(([, name = '', calls]) => [name, Number(calls)]),
  )
}

// Evidence: L7
t.test('privacy costs no call per message: a sender is looked up once, a contact is recorded once', async t => {
  const redis = await startRedis(t)
  const store = await openRedisStore({ ...contractOptions, nodeId: randomUUID() }, { url: redis.url })
  t.teardown(() => store.close())
  await register(store, alice, bob, carol)
  await store.privacy.setWriters(alice, 'contacts')
  await store.privacy.setRule(bob, carol, 'blocked')
  // The node also reads its own broadcasts of these changes, which clears its cache. The notice of a later broadcast
  // shows that it has read them: the first notice is sent at once, the second one comes from the stream.
  const notices = new Notices(store)
  await store.logins.create('token', alice, 60_000)
  await store.logins.revoke('token')
  await notices.first('revoked', 2)
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
  // The first round loads the scripts and marks the recipients as due.
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
  // Lease renewals run at the same time, one every three seconds.
  const near = (count = 0) => count >= rounds && count <= rounds + 3
  for (const { scripts } of [plain, fromKeeper, toKeeper]) t.ok(near(scripts), 'one script per message')
  t.equal(fromKeeper.hget - plain.hget, rounds, 'the script reads the rule of bob for alice')
  t.equal(toKeeper.hget - plain.hget, rounds, 'the script reads the rule of alice for bob')
})
