import { randomUUID } from 'node:crypto'
import t from 'tap'
import { openRedisStore } from '../../../../src/server/store/redis/redis-store.ts'
import { startRedis } from '../../../../tools/servers/redis.ts'
import { alice, claimed, contractOptions, Notices, register, socket } from '../contract/world.ts'

// Evidence: R11
t.test('R11: the next renewal detects that Redis was emptied, although no connection ended', async t => {
  const redis = await startRedis(t)
  const store = await openRedisStore({ ...contractOptions, nodeId: randomUUID() }, { url: redis.url })
  t.teardown(() => store.close())
  const notices = new Notices(store)
  await register(store, alice)
  const before = store.generation()
  const claim = await claimed(store, alice, socket('c1'))
  await redis.cli('FLUSHALL')
  t.equal(await store.nodes.renewLease(), 'lapsed')
  await notices.first('lease-lost')
  t.not(store.generation(), before, 'clients learn that their messages may be lost')
  t.equal(await store.inboxes.ack(claim, 1), 'stale')
  t.equal(await store.users.register(alice, 'another-key', { kind: 'open' }), 'created', 'names are free')
})
