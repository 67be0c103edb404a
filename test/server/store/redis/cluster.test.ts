import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
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
