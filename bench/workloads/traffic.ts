import { Load, type LoadOptions, type Slice } from '../load.ts'
import { startAimessage } from '../systems/aimessage.ts'
import { startFloor } from '../systems/floor.ts'
import { startAedes, startSocketIo } from '../systems/peers.ts'
import type { Owner, Running } from '../systems/system.ts'
import {
  againstBefore,
  atMost,
  type Bar,
  type Context,
  comparedInstances,
  type Result,
  type Row,
  summarize,
  valueIn,
  type Workload,
} from './workload.ts'

type Start = (owner: Owner) => Promise<Running>
/** `name` distinguishes two runs of one system. */
type Entrant = { start: Start; options?: Partial<LoadOptions>; name?: string }
type Traffic = {
  name: string
  what: string
  load: LoadOptions
  /** Messages per second; without it, as many as possible. */
  pace?: number
  entrants: Record<string, Entrant>
  bars(rows: Record<string, Row>): Bar[]
}

const floor: Entrant = { start: startFloor }
const aimessage: Entrant = { start: owner => startAimessage(owner) }
const twoNodes: Entrant = { start: owner => startAimessage(owner, { nodes: 2 }), options: { receiverNode: 1 } }
const otherBuild = (directory: string): Entrant => ({
  start: owner => startAimessage(owner, { directory }),
  name: 'aimessage, the other build',
})
const socketIo: Entrant = { start: startSocketIo }
const aedes: Entrant = { start: startAedes }

const cpuRatio = (a: Row | undefined, b: Row | undefined): number => valueIn(a, 'CPU µs') / valueIn(b, 'CPU µs')

const traffics: readonly Traffic[] = [
  {
    name: 'narrow',
    what: '50 pairs, 8 in flight, 256 bytes',
    load: { pairs: 50, inFlight: 8 },
    entrants: { floor, aimessage, twoNodes, socketIo, aedes },
    bars: rows => [
      atMost('one node, CPU ÷ floor', cpuRatio(rows.aimessage, rows.floor), 2.3),
      atMost('one node, CPU ÷ socket.io streams', cpuRatio(rows.aimessage, rows.socketIo), 0.45),
      atMost('two nodes, CPU ÷ floor', cpuRatio(rows.twoNodes, rows.floor), 3.3),
    ],
  },
  {
    name: 'wide',
    what: '1 000 pairs, 1 in flight, 256 bytes',
    load: { pairs: 1_000, inFlight: 1 },
    entrants: { floor, aimessage, socketIo },
    bars: rows => [atMost('one node, CPU ÷ floor', cpuRatio(rows.aimessage, rows.floor), 2.7)],
  },
  {
    name: 'paced',
    what: '50 pairs, 2 000 messages a second, 256 bytes',
    load: { pairs: 50, inFlight: 1_000 },
    pace: 2_000,
    entrants: { floor, aimessage, socketIo },
    bars: rows => [
      atMost('p50 ÷ floor', valueIn(rows.aimessage, 'p50 ms') / valueIn(rows.floor, 'p50 ms'), 3),
      atMost('p99 ÷ socket.io', valueIn(rows.aimessage, 'p99 ms') / valueIn(rows.socketIo, 'p99 ms'), 1),
    ],
  },
  {
    name: 'fan-in',
    what: '500 senders, one receiver, 256 bytes; beside 50 pairs on the same node',
    load: { pairs: 500, inFlight: 1 },
    entrants: {
      fanIn: { ...aimessage, name: '500 senders to one', options: { receivers: 1 } },
      narrow: { ...aimessage, name: '50 pairs', options: { pairs: 50, inFlight: 8 } },
    },
    bars: rows => [atMost('CPU ÷ narrow', cpuRatio(rows.fanIn, rows.narrow), 1.2)],
  },
  {
    name: 'big',
    what: '20 pairs, 2 in flight, 64 KiB',
    load: { pairs: 20, inFlight: 2, bodyBytes: 65_536 },
    entrants: { floor, aimessage, socketIo },
    bars: () => [],
  },
]

type Ready = { entrant: string; running: Running; load: Load; slices: Slice[] }

/** The systems to measure, by name. A comparison with another build has several instances of both. */
function entrantsOf({ entrants }: Traffic, against: string | undefined): [string, Entrant][] {
  if (against === undefined) return Object.entries(entrants)
  const both: [string, Entrant][] = [
    ['aimessage', aimessage],
    ['before', otherBuild(against)],
  ]
  return Array.from({ length: comparedInstances }, () => both).flat()
}

/** All systems run side by side and are measured in turn, so that other load on the machine affects each alike. */
async function run(traffic: Traffic, { owner, scale, progress, against }: Context): Promise<Result> {
  const ready: Ready[] = []
  for (const [entrant, { start, options, name }] of entrantsOf(traffic, against)) {
    progress(`starting ${entrant}`)
    const running = await start(owner)
    const load = await Load.connect(running, { ...traffic.load, ...options })
    ready.push({ entrant, running: { ...running, name: name ?? running.name }, load, slices: [] })
  }
  for (let run = 1; run <= scale.runs; run += 1) {
    for (const { entrant, load, slices } of ready) {
      progress(`${entrant}, run ${run} of ${scale.runs}`)
      const { pace } = traffic
      slices.push(await (pace === undefined ? load.run(scale.seconds) : load.runPaced(pace, scale.seconds)))
    }
  }
  const rows: Record<string, Row> = {}
  for (const { entrant, running } of ready) {
    const slices = ready.filter(each => each.entrant === entrant).flatMap(each => each.slices)
    rows[entrant] ??= summarize(running, slices)
  }
  for (const row of Object.values(rows)) if (rows.floor) row.values['CPU × floor'] = cpuRatio(row, rows.floor)
  const bars = against === undefined ? traffic.bars(rows) : againstBefore(rows.aimessage, rows.before)
  return { workload: traffic.name, rows: Object.values(rows), bars }
}

export const trafficWorkloads: readonly Workload[] = traffics.map(traffic => ({
  name: traffic.name,
  what: traffic.what,
  run: context => run(traffic, context),
}))
