import { cp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { monotonicMs } from '../clock.ts'
import type { Copy } from '../history/copies.ts'
import type { LoadProcess } from '../processes/load-process.ts'
import { type Fault, last, type Scene } from './fault.ts'

const startTimeoutMs = 60_000
/** Processes of clones have numbers of their own. */
const firstCloneInc = 1_000

type Chosen = { load: LoadProcess; agent: string }

/**
 * Faults that use a copy of an agent's state, each agent at most once in a run: a client reports the second copy within
 * an hour as an error, because peers limit how often they start again.
 */
export const copyFaults = {
  restore: {
    lane: 'client',
    row: 'B1',
    about: "an agent's state is replaced by a copy that is some seconds old",
    run: async scene => {
      const chosen = chooseAgent(scene)
      if (!chosen) return null
      const { load, agent } = chosen
      const copy = await copyState(scene, 'restore', chosen)
      await last(scene, 2_000, 8_000)
      await load.kill()
      const state = load.stateOf(agent)
      await rm(state, { recursive: true })
      await cp(pathOf(scene, agent), state, { recursive: true })
      copy.to = monotonicMs()
      await load.start(AbortSignal.timeout(startTimeoutMs))
      return `${agent} is ${((copy.to - copy.from) / 1_000).toFixed(1)} s older`
    },
  },
  clone: {
    lane: 'client',
    row: 'B2',
    about: "a copy of an agent's state runs beside the original for some seconds",
    run: async scene => {
      const chosen = chooseAgent(scene)
      if (!chosen) return null
      const { load, agent } = chosen
      const copy = await copyState(scene, 'clone', chosen)
      const clone = load.copyOf(agent, join(pathOf(scene, agent), '..'), firstCloneInc)
      try {
        await clone.start(AbortSignal.timeout(startTimeoutMs))
        clone.go()
        await last(scene, 2_000, 6_000)
        await clone.stop(AbortSignal.timeout(startTimeoutMs))
      } finally {
        await clone.quit()
        copy.to = monotonicMs()
      }
      return `two of ${agent}`
    },
  },
} as const satisfies Record<string, Fault>

const pathOf = ({ world }: Scene, agent: string): string => join(world.directory, 'copies', agent, agent)

function chooseAgent({ world, random }: Scene): Chosen | undefined {
  const copied = new Set(world.copies.map(({ agent }) => agent))
  const left = world.loads.flatMap(load =>
    load.agents.filter(agent => !copied.has(agent)).map(agent => ({ load, agent })),
  )
  return left.length > 0 ? random.pick(left) : undefined
}

/** Copies the state while no process uses it. */
async function copyState(scene: Scene, kind: Copy['kind'], { load, agent }: Chosen): Promise<Copy> {
  await load.kill()
  const copy: Copy = { kind, agent, from: monotonicMs(), to: Number.POSITIVE_INFINITY }
  scene.world.copies.push(copy)
  await cp(load.stateOf(agent), pathOf(scene, agent), { recursive: true })
  await load.start(AbortSignal.timeout(startTimeoutMs))
  return copy
}
