import { Redis } from 'ioredis'
import t from 'tap'
import { capabilityKey } from '../../../../src/server/store/redis/connection/keys.ts'
import { startRedis } from '../../../../tools/servers/redis.ts'
import { alice, bob, register } from '../contract/world.ts'
import { redisWorlds } from './redis-world.ts'

const server = await startRedis(t)
const card = { text: 'card-1', counter: 1, capabilities: ['code'] }

t.test('the index of a capability is repaired on reads', async t => {
  const { a, b } = await redisWorlds(server.url)(t)
  const redis = new Redis(server.url)
  t.teardown(() => redis.disconnect())
  await register(a, alice, bob)
  await a.cards.publish(alice, card)
  const index = () => redis.zrange(capabilityKey('code'), '0', '-1')
  const listed = async () =>
    (await b.users.list({ capability: 'code', limit: 9 })).users.map(({ username }) => username)
  t.same(await index(), [alice])

  // As if a node had stopped between the writes of a card and its index: extra entries, and missing ones.
  await redis.zadd(capabilityKey('code'), 0, bob, 0, 'nobody')
  t.same(await listed(), [alice])
  t.same(await index(), [alice], 'wrong entries are removed')
  await redis.del(capabilityKey('code'))
  t.same(await listed(), [])
  t.equal(await b.cards.find(alice), 'card-1')
  t.same(await listed(), [alice], 'reading a card adds its entry again')
})
