import { setTimeout as sleep } from 'node:timers/promises'
import type { FaultProxy } from '../../tools/net/fault-proxy.ts'
import type { Random } from '../random.ts'
import type { Place, World } from '../world.ts'

/** What fails. Faults of one lane come one after the other, those of different lanes at once. */
export type Lane = 'node' | 'redis' | 'link' | 'client'

export type Scene = { world: World; random: Random }

export type Fault = {
  lane: Lane
  /** The row of the table of failures that it stands for. */
  row: string
  about: string
  /** Makes it happen, lets it last, heals it. Answers what shows that it landed, or null when it did not. */
  run(scene: Scene): Promise<string | null>
}

/** So many ms, at random. */
export const last = ({ random }: Scene, fromMs: number, toMs: number): Promise<void> =>
  sleep(random.between(fromMs, toMs))

/** One node that runs. */
export function anyPlace({ world, random }: Scene): Place | undefined {
  const running = world.places.filter(({ node }) => node.isRunning)
  return running.length > 0 ? random.pick(running) : undefined
}

/** A node's way to Redis that carries something. */
export function anyRedisProxy({ world, random }: Scene): FaultProxy | undefined {
  const inUse = world.places.map(({ redisProxy }) => redisProxy).filter(({ connections }) => connections > 0)
  return inUse.length > 0 ? random.pick(inUse) : undefined
}
