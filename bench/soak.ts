import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Load } from './load.ts'
import { machine } from './report.ts'
import { median } from './statistics.ts'
import { type Deployment, startAimessage } from './systems/aimessage.ts'
import { mebibyte, redisBytes, serverBytes } from './usage.ts'

/**
 * A run long enough to reveal leaks: two nodes under a steady load while connections open and close. Prints a line per
 * slice.
 */
const { values: options } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' },
    rate: { type: 'string', default: '3000' },
  },
})
const [minutes, perSecond] = [Number(options.minutes), Number(options.rate)]

const sliceS = 10
/**
 * Entries for deduplication stay for two windows. The windows are short, so that Redis soon reaches a steady number of
 * entries and further growth is a leak.
 */
const dedupeWindowS = 60
/** The number of agents that reconnect, and the interval between two reconnects, in ms. */
const visitors = 500
const visitMs = 50
/** Allowed growth of the last third over the middle third: garbage collection runs at any time. */
const growth = 1.1

type Sample = { nodes: number; redis: number; p99: number }

const ends: (() => Promise<unknown> | unknown)[] = []
const owner = { teardown: (end: () => Promise<unknown> | unknown) => ends.push(end) }
const controller = new AbortController()
try {
  process.stdout.write(`${machine()}\n`)
  process.exitCode = await soak()
} finally {
  controller.abort()
  for (const end of ends.reverse()) await end()
}

async function soak(): Promise<number> {
  const running = await startAimessage(owner, { nodes: 2, env: { DEDUPE_WINDOW_S: String(dedupeWindowS) } })
  const load = await Load.connect(running, { pairs: 50, inFlight: 1_000, receiverNode: 1 })
  const visits = comeAndGo(running)
  const samples: Sample[] = []
  for (let second = 0; second < minutes * 60; second += sliceS) {
    const { p99, messages, seconds } = await load.runPaced(perSecond, sliceS)
    const sample = { nodes: serverBytes(running), redis: redisBytes(running), p99 }
    samples.push(sample)
    const columns = [`${second + sliceS} s`, `${Math.round(messages / seconds)} messages/s`, `p99 ${p99.toFixed(1)} ms`]
    process.stdout.write(`${[...columns, describe(sample)].join(', ')}\n`)
  }
  controller.abort()
  process.stdout.write(`${await visits} visits\n`)
  return judge(samples)
}

/** Connects, logs in, listens and disconnects in a loop, on both nodes in turn. Returns the number of rounds. */
async function comeAndGo(running: Deployment): Promise<number> {
  let visit = 0
  for (; !controller.signal.aborted; visit += 1) {
    const agent = await running.connect(`visitor-${visit % visitors}`, { node: visit % 2, onMessage: () => {} })
    agent.close()
    await delay(visitMs)
  }
  return visit
}

function judge(samples: readonly Sample[]): number {
  const third = Math.floor(samples.length / 3)
  const [middle, last] = [samples.slice(third, 2 * third), samples.slice(2 * third)]
  const grown = (pick: (sample: Sample) => number) => median(last.map(pick)) / median(middle.map(pick))
  const ratios = { nodes: grown(({ nodes }) => nodes), Redis: grown(({ redis }) => redis) }
  for (const [name, ratio] of Object.entries(ratios))
    process.stdout.write(`${name}: the last third has ${ratio.toFixed(3)} of the memory of the middle one\n`)
  return Object.values(ratios).every(ratio => ratio <= growth) ? 0 : 1
}

function describe({ nodes, redis }: Sample): string {
  return `nodes ${(nodes / mebibyte).toFixed(0)} MiB, Redis ${(redis / mebibyte).toFixed(0)} MiB`
}
