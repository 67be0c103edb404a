import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { openRedisStore } from '../../../../src/server/store/redis/redis-store.ts'
import { StoreUnavailableError } from '../../../../src/server/store/store.ts'
import { startRedis } from '../../../../tools/servers/redis.ts'
import { proxyRedis } from '../../../fixtures/servers/redis-links.ts'
import { alice, contractOptions, register } from '../contract/world.ts'
import { readyAgain } from './sender.ts'

// Evidence: R8
t.test('a primary that becomes silent without closing a connection is detected, and the node reconnects', async t => {
  const redis = await startRedis(t)
  const { url, links } = await proxyRedis(t, redis.port)
  const options = { ...contractOptions, nodeId: randomUUID() }
  const store = await openRedisStore(options, { url })
  t.teardown(() => store.close())
  await register(store, alice)
  // Open connections receive nothing any more; new connections work.
  for (const link of links.splice(0)) link.pause()
  await t.rejects(store.inboxes.countQueued(alice), StoreUnavailableError)
  await readyAgain(store)
  t.equal(await store.inboxes.countQueued(alice), 0)
  t.ok(links.length >= 1)
})

t.test('idle connections are kept', async t => {
  const redis = await startRedis(t)
  const options = { ...contractOptions, nodeId: randomUUID() }
  const store = await openRedisStore(options, { url: redis.url })
  t.teardown(() => store.close())
  const connections = async () =>
    [...String(await redis.cli('CLIENT', 'LIST')).matchAll(/^id=(\d+) .*name=(aimessage\S*)/gm)]
      .map(([, id, name]) => `${name} ${id}`)
      .sort()
  const before = await connections()
  t.equal(before.length, 2)
  await delay(11_000)
  t.same(await connections(), before)
})
