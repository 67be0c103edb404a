import { setTimeout as sleep } from 'node:timers/promises'
import { asNumber, asString } from '../../src/server/store/redis/connection/reply.ts'
import type { World } from '../world.ts'
import { type Fault, last } from './fault.ts'

export const redisFaults = {
  'restart-redis': {
    lane: 'redis',
    row: 'R1',
    about: 'Redis is shut down cleanly and starts again after 5 s',
    run: async ({ world }) => {
      await world.redis.kill('SIGTERM')
      await sleep(5_000)
      await world.redis.start()
      return 'restarted'
    },
  },
  'kill-redis': {
    lane: 'redis',
    row: 'R2',
    about: 'Redis is killed and starts again',
    run: async scene => {
      await scene.world.redis.kill('SIGKILL')
      await last(scene, 500, 3_000)
      await scene.world.redis.start()
      return 'killed'
    },
  },
  rollback: {
    lane: 'redis',
    row: 'R3',
    about: 'Redis loses its last writes, as after a power failure',
    run: async scene => {
      const { redis } = scene.world
      await redis.rollBack(() => last(scene, 2_000, 5_000))
      const loss = redis.losses.at(-1)
      return loss ? `${((loss.to.wall - loss.from.wall) / 1_000).toFixed(1)} s of writes lost` : null
    },
  },
  'full-redis': {
    lane: 'redis',
    row: 'R6',
    about: 'Redis has no memory left for new envelopes',
    run: async scene => {
      const { world } = scene
      const before = await oomErrors(world)
      await setMaxMemory(world, 1_000_000)
      await last(scene, 3_000, 6_000)
      await setMaxMemory(world, 0)
      const refused = (await oomErrors(world)) - before
      return refused > 0 ? `${refused} appends refused` : null
    },
  },
  'pause-redis': {
    lane: 'redis',
    row: 'R8',
    about: 'Redis is stopped (SIGSTOP) for a while',
    run: async scene => {
      await scene.world.redis.pause()
      await last(scene, 5_000, 10_000)
      await scene.world.redis.resume()
      return 'paused'
    },
  },
  'flush-scripts': {
    lane: 'redis',
    row: 'R10',
    about: 'the scripts of Redis are flushed every second',
    run: async ({ world }) => {
      for (let times = 0; times < 8; times += 1) {
        await world.redis.process.cli('SCRIPT', 'FLUSH')
        await sleep(1_000)
      }
      return '8 times'
    },
  },
} as const satisfies Record<string, Fault>

const setMaxMemory = (world: World, bytes: number): Promise<unknown> =>
  world.redis.process.cli('CONFIG', 'SET', 'maxmemory', bytes)

async function oomErrors(world: World): Promise<number> {
  const info = asString(await world.redis.process.cli('INFO', 'errorstats'))
  return asNumber(/errorstat_OOM:count=(\d+)/.exec(info)?.[1] ?? 0)
}
