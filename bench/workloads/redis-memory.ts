import { startAimessage } from '../systems/aimessage.ts'
import { openStoreOf, registerMany, writeToMany } from './growth.ts'
import { atMost, type Workload } from './workload.ts'

const users = 20_000

/** The memory in Redis for one more user and one more waiting message. */
export const redisMemory: Workload = {
  name: 'redis-memory',
  what: 'a user with one waiting message of 256 bytes',
  run: async ({ owner, progress }) => {
    const node = await startAimessage(owner)
    const store = await openStoreOf(owner, node)
    const used = async () => Number(/used_memory:(\d+)/.exec(String(await node.redis.cli('INFO', 'memory')))?.[1])
    const empty = await used()
    progress('registering')
    await registerMany(store, users + 1)
    const registered = await used()
    progress('writing')
    await writeToMany(store, users)
    const written = await used()
    const values = {
      'bytes a user': (registered - empty) / users,
      'bytes a message': (written - registered) / users,
      'bytes together': (written - empty) / users,
    }
    return {
      workload: 'redis-memory',
      rows: [{ system: node.name, values }],
      bars: [atMost('bytes of a user with one message', values['bytes together'], 2_200)],
    }
  },
}
