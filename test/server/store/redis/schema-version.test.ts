import { randomUUID } from 'node:crypto'
import t from 'tap'
import { RedisSetupError } from '../../../../src/server/store/redis/connection/check-server.ts'
import { schemaKey } from '../../../../src/server/store/redis/connection/keys.ts'
import { openRedisStore } from '../../../../src/server/store/redis/redis-store.ts'
import { runNodeProcess } from '../../../../tools/servers/node.ts'
import { startRedis } from '../../../../tools/servers/redis.ts'
import { contractOptions } from '../contract/world.ts'

t.test('the first node writes the schema version, and other nodes of that version start', async t => {
  const redis = await startRedis(t)
  const open = () => openRedisStore({ ...contractOptions, nodeId: randomUUID() }, { url: redis.url })
  const [a, b] = [await open(), await open()]
  t.teardown(() => Promise.all([a.close(), b.close()]))
  t.equal(await redis.cli('GET', schemaKey), '1')
})

t.test('a node does not start with an unknown schema version, and changes nothing', async t => {
  const redis = await startRedis(t)
  await redis.cli('SET', schemaKey, '2')
  const options = { ...contractOptions, nodeId: randomUUID() }
  await t.rejects(openRedisStore(options, { url: redis.url }), RedisSetupError)
  t.same(await redis.cli('KEYS', '*'), [schemaKey])
  const { code, stderr } = await runNodeProcess({ REDIS_URL: redis.url, PORT: '0' })
  t.equal(code, 2)
  t.match(
    stderr,
    /holds data of schema 2, and this version knows 1; run the version that wrote it, or use another Redis/,
  )
})
