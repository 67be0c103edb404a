import { setTimeout as sleep } from 'node:timers/promises'
import { asNumber } from '../../src/server/store/redis/connection/reply.ts'
import type { World } from '../world.ts'
import { anyRedisProxy, type Fault, last, type Scene } from './fault.ts'

export const linkFaults = {
  'partition-node': {
    lane: 'link',
    row: 'C1',
    about: 'a node cannot reach Redis, and no connection is closed',
    run: async scene => {
      const proxy = anyRedisProxy(scene)
      if (!proxy) return null
      const held = proxy.connections
      proxy.set({ kind: 'pause' })
      await last(scene, 14_000, 20_000)
      proxy.set({ kind: 'pass' })
      return held > 0 ? `${held} connections held` : null
    },
  },
  'cut-redis': {
    lane: 'link',
    row: 'C1',
    about: "a node's connections to Redis are cut in the middle of an answer",
    run: async scene => {
      const proxy = anyRedisProxy(scene)
      if (!proxy) return null
      const before = proxy.lost
      proxy.set({ kind: 'cut', afterBytes: 0 })
      await last(scene, 1_000, 3_000)
      proxy.set({ kind: 'pass' })
      return proxy.lost > before ? 'cut' : null
    },
  },
  'delay-redis': {
    lane: 'link',
    row: 'C12',
    about: 'all data between a node and Redis is delayed, including notices',
    run: async scene => {
      const proxy = anyRedisProxy(scene)
      if (!proxy) return null
      const ms = Math.round(scene.random.between(100, 1_000))
      proxy.set({ kind: 'delay', ms })
      await last(scene, 5_000, 10_000)
      proxy.set({ kind: 'pass' })
      return `by ${ms} ms`
    },
  },
  'cut-pubsub': {
    lane: 'link',
    row: 'C2',
    about: "the nodes' subscriptions are killed every 2 s",
    run: async ({ world }) => {
      let killed = 0
      for (let times = 0; times < 5; times += 1) {
        if (world.redis.isUp) killed += await killSubscriptions(world)
        await sleep(2_000)
      }
      return killed > 0 ? `${killed} subscriptions` : null
    },
  },
  'half-open': {
    lane: 'link',
    row: 'C4',
    about: 'no data passes between clients and nodes, and no connection is closed',
    run: async scene => {
      const { front } = scene.world
      const held = front.connections
      front.set({ kind: 'pause' })
      await last(scene, 5_000, 15_000)
      front.set({ kind: 'pass' })
      return held > 0 ? `${held} connections held` : null
    },
  },
  storm: {
    lane: 'link',
    row: 'C6',
    about: 'all client connections are reset at once',
    run: async ({ world }) => {
      const dropped = world.front.reset()
      await sleep(2_000)
      return dropped > 0 ? `${dropped} connections` : null
    },
  },
  'lost-client-acks': {
    lane: 'link',
    row: 'C7',
    about: 'data from clients is lost, then their connections are reset',
    run: scene => swallow(scene, 'up'),
  },
  'lost-acks': {
    lane: 'link',
    row: 'C8',
    about: 'answers of nodes are lost, then clients reconnect and send again',
    run: scene => swallow(scene, 'down'),
  },
} as const satisfies Record<string, Fault>

/** Returns 0 if Redis is not reachable. */
const killSubscriptions = ({ redis }: World): Promise<number> =>
  redis.process.cli('CLIENT', 'KILL', 'TYPE', 'pubsub').then(asNumber, () => 0)

async function swallow(scene: Scene, direction: 'up' | 'down'): Promise<string | null> {
  const { front } = scene.world
  const before = front.lost
  front.set({ kind: 'swallow', direction })
  await last(scene, 2_000, 5_000)
  const bytes = front.lost - before
  front.set({ kind: 'pass' })
  front.reset()
  return bytes > 0 ? `${bytes} bytes` : null
}
