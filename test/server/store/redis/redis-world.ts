import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { openRedisStore } from '../../../../src/server/store/redis/redis-store.ts'
import { contractOptions, type OpenWorld } from '../contract/world.ts'

/** Opens worlds in one Redis, each in its own database. */
export function redisWorlds(url: string): OpenWorld {
  let database = 0
  return async (t, changes = {}) => {
    const own = `${url}/${database++}`
    const open = async () => {
      const options = { ...contractOptions, ...changes, nodeId: randomUUID() }
      const store = await openRedisStore(options, { url: own })
      t.teardown(() => store.close())
      return store
    }
    return { a: await open(), b: await open(), open, pass: async ms => void (await delay(ms)) }
  }
}
