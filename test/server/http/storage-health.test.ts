import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { readConfig } from '../../../src/server/base/config.ts'
import { storeOptions } from '../../../src/server/open-store.ts'
import { openRedisStore } from '../../../src/server/store/redis/redis-store.ts'
import { RawClient } from '../../../tools/clients/raw-client.ts'
import { startRedis } from '../../../tools/servers/redis.ts'
import { startTestNode } from '../../../tools/servers/running-node.ts'

t.test('17.6 /health/ready and the metrics say how full Redis is; a full one is not ready, but reachable', async t => {
  const redis = await startRedis(t)
  const store = await openRedisStore(storeOptions(readConfig({})), { url: redis.url })
  const node = await startTestNode(t, { METRICS_PORT: '0' }, { store })
  const [alice, bob] = [await RawClient.loggedIn(t, node.wsUrl), await RawClient.listening(t, node.wsUrl)]
  const used = async () => Number(/used_memory:(\d+)/.exec(String(await redis.cli('INFO', 'memory')))?.[1])
  const ready = async (query = '') => {
    const answer = await fetch(`${node.url}/health/ready${query}`)
    return { http: answer.status, ...((await answer.json()) as { storage?: string; code?: string }) }
  }
  const metric = async (name: string) => {
    const text = await (await fetch(node.metricsUrl ?? '')).text()
    return Number(new RegExp(`^${name} (\\S+)`, 'm').exec(text)?.[1])
  }
  /** Asks again until the node has read the memory of Redis, twice a second. */
  async function become(query: string, wanted: object): Promise<void> {
    for (let tries = 0; tries < 200; tries += 1) {
      const answer = await ready(query)
      if (Object.entries(wanted).every(([name, value]) => Reflect.get(answer, name) === value)) return
      await delay(100)
    }
    t.fail(`never became ${JSON.stringify(wanted)}`)
  }

  t.match(await ready(), { http: 200, storage: 'ok' })
  t.equal(await metric('aimessage_storage_level'), 0)
  await redis.cli('CONFIG', 'SET', 'maxmemory', Math.round((await used()) / 0.8))
  await become('', { http: 200, storage: 'scarce' })
  t.equal(await metric('aimessage_storage_level'), 1)
  const send = (id: string) => alice.request({ type: 'send', id, to: bob.user.username, body: 'AAAA' })
  const refused = await send('waits')
  t.match(refused, { type: 'error', code: 'rate_limited', message: /never wrote to you/ })
  t.ok('retryAfter' in refused && Number(refused.retryAfter) > 0)
  t.match(await metric('aimessage_storage_refused_total\\{why="stranger"\\}'), 1)

  await redis.cli('CONFIG', 'SET', 'maxmemory', 1)
  await become('', { http: 503, code: 'unavailable' })
  t.match(await ready('?full=ok'), { http: 200, storage: 'full' })
  t.equal(await metric('aimessage_storage_level'), 2)
  t.ok((await metric('aimessage_storage_used_bytes')) > (await metric('aimessage_storage_max_bytes')))
  const again = await RawClient.connect(t, node.wsUrl)
  t.match(await again.authenticate(bob.user), { type: 'authenticated' }, 'an agent can log in to read')
  t.match(await again.request({ type: 'listen' }), { type: 'listening' })

  await redis.cli('CONFIG', 'SET', 'maxmemory', 0)
  await become('', { http: 200, storage: 'ok' })
  t.match(await send('waits'), { type: 'accepted' })
})
