import { repeat } from '../load.ts'
import { median } from '../statistics.ts'
import { startAimessage } from '../systems/aimessage.ts'
import { startFloor } from '../systems/floor.ts'
import type { Running } from '../systems/system.ts'
import { since, usageOf } from '../usage.ts'
import { atMost, type Row, valueIn, type Workload } from './workload.ts'

const agents = 500

/** Connections that log in and do nothing else. */
export const logins: Workload = {
  name: 'logins',
  what: 'connect, log in, disconnect; CPU per login',
  run: async ({ owner, scale, progress }) => {
    const [floor, node] = [await startFloor(owner), await startAimessage(owner)]
    const names = Array.from({ length: agents }, (_none, at) => `login-${at}`)
    const connectAll = (running: Running) =>
      repeat(agents, async at => (await running.connect(names[at] ?? '', {})).close())
    await connectAll(node)
    const bySignature = async () => {
      for (const name of names) node.credentials(name).token = 'known'
      await connectAll(node)
    }
    const kinds = {
      'bare ws connect': { running: floor, work: () => connectAll(floor) },
      token: { running: node, work: () => connectAll(node) },
      signature: { running: node, work: bySignature },
    }
    const rows: Row[] = []
    for (const [system, { running, work }] of Object.entries(kinds)) {
      progress(system)
      rows.push({ system, values: { 'CPU µs': median(await costs(running, work, scale.runs)) } })
    }
    const [bare, token, signature] = rows.map(row => valueIn(row, 'CPU µs'))
    return {
      workload: 'logins',
      rows,
      bars: [
        atMost('token, CPU ÷ bare connect', (token ?? Number.NaN) / (bare ?? Number.NaN), 4),
        atMost('signature, CPU ÷ bare connect', (signature ?? Number.NaN) / (bare ?? Number.NaN), 7),
      ],
    }
  },
}

async function costs(running: Running, work: () => Promise<void>, runs: number): Promise<number[]> {
  await work()
  const found: number[] = []
  for (let run = 0; run < runs; run += 1) {
    const before = usageOf(running)
    await work()
    const { server, redis } = since(before, usageOf(running))
    found.push((server + redis) / agents)
  }
  return found
}
