import { type Fault, last } from './fault.ts'

const minuteMs = 60_000
const hourMs = 60 * minuteMs
const dayMs = 24 * hourMs

export const clientFaults = {
  'kill-client': {
    lane: 'client',
    row: 'E4',
    about: 'agents are killed and start again from their stored state',
    run: async scene => {
      const load = scene.random.pick(scene.world.loads)
      await load.kill()
      await last(scene, 500, 2_000)
      await load.start(AbortSignal.timeout(60_000))
      return `${load.agents.length} agents killed`
    },
  },
  takeover: {
    lane: 'client',
    row: 'N5',
    about: 'a second client of some agents listens for a while, then the first one again',
    run: async scene => {
      const { world, random } = scene
      await Promise.all(
        world.loads.map(async load => {
          for (let times = 0; times < 3; times += 1)
            await load.takeOver(random.pick(load.agents), Math.round(random.between(300, 2_500)))
        }),
      )
      return `${3 * world.loads.length} takeovers`
    },
  },
  clock: {
    lane: 'client',
    row: 'T4',
    about: 'the clock of some agents jumps by up to ten years in either direction, and back',
    run: async scene => {
      const load = scene.random.pick(scene.world.loads)
      const jumpMs =
        scene.random.pick([-1, 1]) * scene.random.pick([minuteMs, hourMs, dayMs, 40 * dayMs, 3_650 * dayMs])
      load.shiftClock(jumpMs)
      await last(scene, 2_000, 8_000)
      load.shiftClock(0)
      await last(scene, 500, 2_000)
      return `${load.agents.length} agents, by ${(jumpMs / dayMs).toPrecision(3)} days`
    },
  },
} as const satisfies Record<string, Fault>
