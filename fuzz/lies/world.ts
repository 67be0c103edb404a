import { startFrameProxy } from '../../tools/net/frame-proxy.ts'
import { startNodeProcess } from '../../tools/servers/node.ts'
import { startRedis } from '../../tools/servers/redis.ts'
import type { Owner } from '../../tools/teardown.ts'
import { Inventions } from './inventions.ts'
import { LyingConnection, refusalFor } from './liar.ts'
import { Scene } from './scene.ts'

/** All victims share an address and a node: rates that would stop a run are raised. */
const env = {
  USER_FRAMES_PER_S: '1000000',
  USER_BYTES_PER_S: '1000000000',
  PAIR_MESSAGES_PER_S: '1000000',
  REGISTRATIONS_PER_HOUR: '1000000',
}

/** An honest node, and the liar in front of it. */
export type LyingWorld = {
  /** Adds a scene whose victims dial `serverOf`. */
  stage(seed: number, victims: readonly string[]): Scene
  /** The URL under which the liar recognizes a victim. */
  serverOf(victim: string): string
  /** The node itself. */
  honest: string
}

export async function startLyingWorld(owner: Owner, seed: number): Promise<LyingWorld> {
  const redis = await startRedis(owner)
  const node = await startNodeProcess(owner, { ...env, REDIS_URL: redis.url })
  const inventions = new Inventions(seed)
  const scenes = new Map<string, Scene>()
  const dials = new Map<string, number>()
  const find = (path: string): { scene: Scene; victim: string } => {
    const victim = path.split('/')[1] ?? ''
    const scene = scenes.get(victim)
    if (!scene) throw new Error(`no scene for ${path}`)
    return { scene, victim }
  }
  const url = await startFrameProxy(owner, node.wsUrl, {
    refuse: path => {
      const { scene, victim } = find(path)
      const count = (dials.get(victim) ?? 0) + 1
      dials.set(victim, count)
      return refusalFor(scene, victim, count)
    },
    relay: middle => {
      const { scene, victim } = find(middle.path)
      return new LyingConnection(scene, victim, inventions, middle)
    },
  })
  return {
    stage: (sceneSeed, victims) => {
      const scene = new Scene(sceneSeed, victims)
      for (const victim of victims) scenes.set(victim, scene)
      return scene
    },
    serverOf: victim => `${url}/${victim}`,
    honest: node.wsUrl,
  }
}
