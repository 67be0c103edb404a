import { setTimeout as sleep } from 'node:timers/promises'
import { seededRandom } from '../../tools/random.ts'
import { monotonicMs } from '../clock.ts'
import type { World } from '../world.ts'
import type { Fault, Lane } from './fault.ts'
import type { FaultName } from './names.ts'
import { faults } from './table.ts'

/** An injected fault. `landed` is evidence that it took effect, or null. `to` is Infinity while the fault lasts. */
export type FaultRecord = { name: FaultName; from: number; to: number; landed: string | null; error?: string }

/** The pause between two faults of a lane, in ms. */
const calmMs = [1_000, 4_000] as const

type RunFaultsOptions = {
  world: World
  names: readonly FaultName[]
  seed: number
  durationMs: number
  /** Receives a record for each fault. */
  records: FaultRecord[]
}

/**
 * Injects the named faults. Each lane has its own seed, so that its choices do not depend on the duration of faults in
 * other lanes. Resolves when all faults are healed.
 */
export async function runFaults({ world, names, seed, durationMs, records }: RunFaultsOptions): Promise<void> {
  const until = monotonicMs() + durationMs
  const lanes = new Map<Lane, FaultName[]>()
  for (const name of names) lanes.set(faults[name].lane, [...(lanes.get(faults[name].lane) ?? []), name])
  await Promise.all(
    [...lanes].map(async ([lane, choice], at) => {
      const scene = { world, random: seededRandom(seed + 1_000_003 * (at + 1) + lane.length) }
      let rest: FaultName[] = []
      while (monotonicMs() < until) {
        // Choose each fault once before repeating one, so that a short run covers as many as possible.
        if (rest.length === 0) rest = [...choice]
        const name = scene.random.pick(rest)
        rest = rest.filter(each => each !== name)
        await runFault(name, scene, records)
        await sleep(scene.random.between(...calmMs))
      }
    }),
  )
}

async function runFault(name: FaultName, scene: Parameters<Fault['run']>[0], records: FaultRecord[]): Promise<void> {
  const record: FaultRecord = { name, from: monotonicMs(), to: Number.POSITIVE_INFINITY, landed: null }
  records.push(record)
  try {
    record.landed = await faults[name].run(scene)
  } catch (error) {
    record.error = error instanceof Error ? error.message : String(error)
  }
  record.to = monotonicMs()
}
