import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { limits } from '../../src/protocol/limits.ts'
import { nodeEndingWithParent } from '../../tools/processes.ts'
import { commandOf, readDockerfile, textsOf } from '../../tools/servers/dockerfile.ts'
import { type RedisProcess, startRedis } from '../../tools/servers/redis.ts'
import { type Credentials, newCredentials, RawAgent } from './raw-agent.ts'
import type { Connecting, Owner, Running } from './system.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
/** The command line as in the image: `node`, its options, the program, `serve`. */
const [, ...imageArgs] = commandOf(textsOf(readDockerfile(`${root}Dockerfile`), 'CMD').at(-1) ?? '')

/** For measurements of upgrades: the default rate applies, which the other benchmarks lift. */
export const upgradesAsDeployed = { UPGRADES_PER_S: String(limits.upgradesPerS) }

/** Nodes as in a deployment, from `dist`, with their own Redis. */
export type Deployment = Running & {
  readonly redis: RedisProcess
  readonly urls: readonly string[]
  /** Connects an agent. A further connection of the same agent uses its token. */
  credentials(name: string): Credentials
  connect(name: string, options: Connecting): Promise<RawAgent>
}

/**
 * `envs` has the variables of each node, in addition to `env`. `execArgv` has options of Node, such as `--cpu-prof`.
 * `directory` is the directory of another build, for comparison.
 */
type DeploymentOptions = {
  directory?: string
  nodes?: number
  env?: Record<string, string>
  envs?: readonly Record<string, string>[]
  execArgv?: readonly string[]
  redisConfig?: Record<string, string>
}

export async function startAimessage(
  owner: Owner,
  { directory = root, nodes = 1, env = {}, envs = [], execArgv = [], redisConfig = {} }: DeploymentOptions = {},
): Promise<Deployment> {
  const redis = await startRedis(owner, { config: redisConfig })
  const started = await Promise.all(
    Array.from({ length: nodes }, (_none, at) =>
      startNode(owner, { REDIS_URL: redis.url, ...env, ...envs[at] }, { directory, args: [...execArgv, ...imageArgs] }),
    ),
  )
  const known = new Map<string, Credentials>()
  const credentials = (name: string): Credentials => {
    const found = known.get(name) ?? newCredentials(name)
    known.set(name, found)
    return found
  }
  const urls = started.map(({ url }) => url)
  return {
    name: nodes === 1 ? 'aimessage' : `aimessage, ${nodes} nodes`,
    pids: started.map(({ pid }) => pid),
    redisPid: redis.pid,
    redis,
    urls,
    credentials,
    connect: async (name, { node = 0, onMessage }) => {
      const agent = await RawAgent.connect(urls[node] ?? '', credentials(name), onMessage)
      return onMessage ? agent.listen() : agent
    },
  }
}

async function startNode(
  owner: Owner,
  env: Record<string, string>,
  { directory, args }: { directory: string; args: readonly string[] },
): Promise<{ url: string; pid: number }> {
  const child = spawn(...nodeEndingWithParent(...args), {
    cwd: directory,
    env: {
      PATH: process.env.PATH,
      NODE_ENV: 'production',
      LOG_LEVEL: 'info',
      PORT: '0',
      HOST: '127.0.0.1',
      // Thousands of agents are set up before the measurement.
      UPGRADES_PER_S: '100000',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  owner.teardown(async () => {
    child.kill('SIGKILL')
    await exited
  })
  const lines = createInterface(child.stdout)
  const listening = new Promise<string>(resolve => {
    lines.on('line', line => {
      const url = /"url":"http([^"]+)".*"msg":"listening"/.exec(line)?.[1]
      if (url) resolve(`ws${url}/ws`)
    })
  })
  const failed = exited.then(() => {
    throw new Error('the node ended before it listened')
  })
  return { url: await Promise.race([listening, failed]), pid: child.pid ?? 0 }
}
