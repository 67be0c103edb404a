import { setTimeout as delay } from 'node:timers/promises'
import { repeat } from '../load.ts'
import { startAimessage } from '../systems/aimessage.ts'
import { startFloor } from '../systems/floor.ts'
import type { Agent, Running } from '../systems/system.ts'
import { redisBytes, serverBytes, since, usageOf } from '../usage.ts'
import { atMost, type Row, valueIn, type Workload } from './workload.ts'

/** Some agents connect and disconnect first, so that the warm-up memory of the process is not counted. */
const warmUp = 500
const settleMs = 5_000

/** Agents that listen and receive nothing. */
export const idle: Workload = {
  name: 'idle',
  what: 'connections that wait, per connection',
  run: async ({ owner, scale, progress }) => {
    const floor = await startFloor(owner)
    progress('bare ws')
    const rows = [await measure(floor, scale.connections, 20 * scale.seconds)]
    const node = await startAimessage(owner)
    progress('aimessage')
    const row = await measure(node, scale.connections, 20 * scale.seconds)
    return {
      workload: 'idle',
      rows: [...rows, row],
      bars: [
        atMost('KiB on the node', valueIn(row, 'KiB on the server'), 14),
        atMost('KiB in Redis', valueIn(row, 'KiB in Redis'), 2),
        atMost('CPU-% per 1 000', valueIn(row, 'CPU-% per 1 000'), 0.2),
      ],
    }
  },
}

async function measure(running: Running, connections: number, watchS: number): Promise<Row> {
  const connect = (prefix: string, count: number) => connectAll(running, prefix, count)
  for (const agent of await connect('warm', warmUp)) agent.close()
  await delay(settleMs)
  const before = { server: serverBytes(running), redis: redisBytes(running) }
  const agents = await connect('idle', connections)
  await delay(settleMs)
  const start = usageOf(running)
  await delay(watchS * 1_000)
  const { server, redis } = since(start, usageOf(running))
  const perConnection = (bytes: number) => bytes / connections / 1_024
  const values = {
    'KiB on the server': perConnection(serverBytes(running) - before.server),
    'KiB in Redis': perConnection(redisBytes(running) - before.redis),
    'CPU-% per 1 000': ((server + redis) / (watchS * 10_000) / connections) * 1_000,
  }
  for (const agent of agents) agent.close()
  return { system: running.name, values }
}

async function connectAll(running: Running, prefix: string, count: number): Promise<Agent[]> {
  const agents: Agent[] = []
  await repeat(count, async at => {
    agents.push(await running.connect(`${prefix}-${at}`, { onMessage: () => {} }))
  })
  return agents
}
