import { type Fault, last } from './fault.ts'

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
} as const satisfies Record<string, Fault>
