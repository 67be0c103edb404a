import { setTimeout as sleep } from 'node:timers/promises'
import type { FaultProxy } from '../../tools/net/fault-proxy.ts'
import type { Random } from '../../tools/random.ts'
import type { Place, World } from '../world.ts'

/** The component that fails. Faults of one lane happen in sequence, faults of different lanes in parallel. */
export type Lane = 'node' | 'redis' | 'link' | 'client'

export type Scene = { world: World; random: Random }

export type Fault = {
  lane: Lane
  /** The row of the table of failures in docs/CHAOS.md. */
  row: string
  about: string
  /** Injects the fault, waits, and heals it. Returns evidence that it took effect, or null if it did not. */
  run(scene: Scene): Promise<string | null>
}

/** Waits for a random time between the bounds, in ms. */
export const last = ({ random }: Scene, fromMs: number, toMs: number): Promise<void> =>
  sleep(random.between(fromMs, toMs))

/** Returns a random running node, if there is one. */
export function anyPlace({ world, random }: Scene): Place | undefined {
  const running = world.places.filter(({ node }) => node.isRunning)
  return running.length > 0 ? random.pick(running) : undefined
}

/** Returns a random proxy between a node and Redis that has open connections. */
export function anyRedisProxy({ world, random }: Scene): FaultProxy | undefined {
  const inUse = world.places.map(({ redisProxy }) => redisProxy).filter(({ connections }) => connections > 0)
  return inUse.length > 0 ? random.pick(inUse) : undefined
}
