import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Balancer, dialPort } from '../tools/net/balancer.ts'
import { FaultProxy } from '../tools/net/fault-proxy.ts'
import { type Random, seededRandom } from '../tools/random.ts'
import { freePort } from '../tools/servers/redis.ts'
import type { Owner } from '../tools/teardown.ts'
import { guardRemovals } from './guard-removals.ts'
import type { Copy } from './history/copies.ts'
import type { AgentPlan } from './load/load-options.ts'
import type { ChaosOptions } from './options.ts'
import { bundle } from './processes/bundle.ts'
import { LoadProcess } from './processes/load-process.ts'
import { NodeProcess } from './processes/node-process.ts'
import { RedisServer } from './processes/redis-server.ts'

const nodeCount = 3
const loadCount = 2
/** The number of peers of one agent. */
const peerCount = 4
/** Longer than a node's lease, in ms. */
const stallMs = 13_000

/** A node and the proxy between it and Redis. */
export type Place = { readonly node: NodeProcess; readonly redisProxy: FaultProxy }

/** Everything that runs and can be made to fail. */
export type World = {
  readonly directory: string
  readonly redis: RedisServer
  readonly places: readonly Place[]
  readonly balancer: Balancer
  /** The proxy between clients and nodes. */
  readonly front: FaultProxy
  readonly loads: readonly LoadProcess[]
  readonly users: readonly string[]
  readonly canary: string
  /** The copies of agents' states that ran beside or instead of the original. */
  readonly copies: Copy[]
  readonly files: { readonly histories: string[]; readonly audits: string[]; readonly logs: string[] }
}

/** Starts everything but the load. */
export async function startWorld(owner: Owner, directory: string, options: ChaosOptions): Promise<World> {
  const broken = options.guard && guardRemovals[options.guard]
  const [programs, redis] = await Promise.all([bundle(join(directory, 'bundle'), broken), RedisServer.start(owner)])
  const files = { histories: [] as string[], audits: [] as string[], logs: [] as string[] }
  const places = await Promise.all(
    Array.from({ length: nodeCount }, async (_, at) => {
      const audit = join(directory, `node-${at}.audit.jsonl`)
      const log = join(directory, `node-${at}.log`)
      files.audits.push(audit)
      files.logs.push(log)
      return startPlace(owner, { script: programs.node, redisPort: redis.process.port, audit, log })
    }),
  )
  const balancer = new Balancer(places.map(({ node }) => node))
  owner.teardown(() => balancer.close())
  const front = await FaultProxy.listen(() => balancer.dial())
  owner.teardown(() => front.close())
  await balancer.probe()
  const random = seededRandom(options.seed)
  const part = () => Math.floor(random.next() * 2 ** 32).toString(36)
  const canary = `canary-${part()}-${part()}`
  const agents = planAgents(options.agents, random)
  const loads = Array.from({ length: loadCount }, (_, at) => {
    const history = join(directory, `load-${at}.history.jsonl`)
    const log = join(directory, `load-${at}.log`)
    files.histories.push(history)
    files.logs.push(log)
    return new LoadProcess({
      script: programs.load,
      server: `ws://127.0.0.1:${front.port}/ws`,
      directory: join(directory, 'state'),
      history,
      log,
      agents: agents.filter((_, index) => index % loadCount === at),
      rate: options.rate,
      seed: options.seed,
      canary,
    })
  })
  owner.teardown(() => Promise.all(loads.map(load => load.kill())))
  await mkdir(join(directory, 'state'), { recursive: true })
  const users = agents.map(({ name }) => name)
  return { directory, redis, places, balancer, front, loads, users, canary, copies: [], files }
}

type PlaceOptions = { script: string; redisPort: number; audit: string; log: string }

async function startPlace(owner: Owner, { script, redisPort, audit, log }: PlaceOptions): Promise<Place> {
  const redisProxy = await FaultProxy.listen(() => dialPort(redisPort))
  owner.teardown(() => redisProxy.close())
  const redisUrl = `redis://127.0.0.1:${redisProxy.port}`
  const node = new NodeProcess({ script, port: await freePort(), redisUrl, log, audit, stallMs })
  owner.teardown(() => node.kill())
  await node.start()
  return { node, redisProxy }
}

/** Each agent writes to a few others, which keeps the number of sessions low and the number of pairs high. */
function planAgents(count: number, random: Random): AgentPlan[] {
  const names = Array.from({ length: count }, (_, at) => `agent-${at}`)
  return names.map(name => {
    const others = names.filter(other => other !== name)
    const peers = Array.from({ length: Math.min(peerCount, others.length) }, () => random.pick(others))
    return { name, peers: [...new Set(peers)] }
  })
}
