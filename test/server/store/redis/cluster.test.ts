import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { connectClient } from '../../../../src/server/store/redis/connection/connect.ts'
import { endClient, isCluster } from '../../../../src/server/store/redis/connection/redis-client.ts'
import { openRedisStore } from '../../../../src/server/store/redis/redis-store.ts'
import { type RedisCluster, startRedisCluster } from '../../../../tools/servers/redis-cluster.ts'
import { contractOptions, type OpenWorld } from '../contract/world.ts'
import { storeContract } from '../contract.ts'

const cluster = await startRedisCluster(t)

/** Opens one world at a time, because a Cluster has only one database. */
const openClusterWorld =
  ({ url, servers }: RedisCluster): OpenWorld =>
  async (t, changes = {}) => {
    await Promise.all(servers.map(({ cli }) => cli('FLUSHALL')))
    const open = async () => {
      const store = await openRedisStore({ ...contractOptions, ...changes, nodeId: randomUUID() }, { url })
      t.teardown(() => store.close())
      return store
    }
    return { a: await open(), b: await open(), open, pass: async ms => void (await delay(ms)) }
  }

storeContract(t, openClusterWorld(cluster))

t.test('a client that ends while it asks for the slots of the Cluster asks no more', async t => {
  const client = await connectClient(cluster.url, 'ending', () => {})
  if (!isCluster(client)) throw new Error('not a Cluster')
  // The questions at regular times, with a short interval.
  const call = (method: string) => Reflect.apply(Reflect.get(client, method), client, [])
  client.options.slotsRefreshInterval = 1
  call('clearNodesRefreshInterval')
  call('resetNodesRefreshInterval')
  while (!Reflect.get(client, 'isRefreshing')) await new Promise(setImmediate)
  endClient(client)
  let questions = 0
  const refresh = client.refreshSlotsCache.bind(client)
  client.refreshSlotsCache = answered => {
    questions += 1
    refresh(answered)
  }
  await delay(200)
  t.ok(questions <= 1, `${questions} questions`)
})
