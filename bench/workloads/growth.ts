import { parseUsername } from '../../src/protocol/names.ts'
import { readConfig } from '../../src/server/base/config.ts'
import { openLogger } from '../../src/server/base/logger.ts'
import { openStore } from '../../src/server/open-store.ts'
import type { Store } from '../../src/server/store/store.ts'
import { bodyOfBytes, Load, repeat, type Slice } from '../load.ts'
import { type Deployment, startAimessage } from '../systems/aimessage.ts'
import type { Owner } from '../systems/system.ts'
import { atMost, type Context, type Result, type Row, summarize, valueIn, type Workload } from './workload.ts'

const narrow = { pairs: 50, inFlight: 8 }

/** Uses the nodes' store directly: a million registrations over the network would take an hour. */
export async function openStoreOf(owner: Owner, { redis }: Deployment): Promise<Store> {
  const store = await openStore(readConfig({ REDIS_URL: redis.url }), openLogger('silent'))
  owner.teardown(() => store.close())
  await store.nodes.renewLease()
  return store
}

const nameOf = (at: number) => parseUsername(`user-${at}`)
const identity = Buffer.alloc(32, 7).toString('base64url')

export async function registerMany(store: Store, count: number): Promise<void> {
  await repeat(count, at => store.users.register(nameOf(at), identity, { kind: 'open' }))
}

/** Stores one message for each of the first `count` users. */
export async function writeToMany(store: Store, count: number): Promise<void> {
  const step = 100
  const body = bodyOfBytes(256)
  await repeat(Math.ceil(count / step), async batch => {
    const start = batch * step
    const items = Array.from({ length: Math.min(step, count - start) }, (_none, at) => ({
      stream: 'bench',
      from: nameOf(count),
      to: nameOf(start + at),
      id: 'first',
      kind: 'message' as const,
      body,
      ttlMs: 600_000_000,
    }))
    const results = await store.inboxes.append(items)
    if (results.some(({ status }) => status !== 'stored')) throw new Error('a message was not stored')
  })
}

type Case = { system: string; node: Deployment; load: Load; slices: Slice[] }

async function compare(cases: readonly Omit<Case, 'slices'>[], { scale, progress }: Context): Promise<Row[]> {
  const all: Case[] = cases.map(each => ({ ...each, slices: [] }))
  for (let run = 1; run <= scale.runs; run += 1) {
    for (const { system, load, slices } of all) {
      progress(`${system}, run ${run} of ${scale.runs}`)
      slices.push(await load.run(scale.seconds))
    }
  }
  return all.map(({ system, node, slices }) => ({ ...summarize(node, slices), system }))
}

const ratio = ([before, after]: readonly Row[]): number => valueIn(after, 'CPU µs') / valueIn(before, 'CPU µs')

async function growWithConnections(context: Context): Promise<Result> {
  const { owner, scale, progress } = context
  const cases = []
  for (const connections of [scale.connections / 10, scale.connections]) {
    const node = await startAimessage(owner)
    progress(`${connections} connections`)
    await repeat(connections, async at => {
      await node.connect(`idle-${at}`, { onMessage: () => {} })
    })
    cases.push({ system: `beside ${connections} connections`, node, load: await Load.connect(node, narrow) })
  }
  const rows = await compare(cases, context)
  return {
    workload: 'growth, connections',
    rows,
    bars: [atMost('CPU ÷ a tenth of the connections', ratio(rows), 1.25)],
  }
}

async function growWithRedis(context: Context): Promise<Result> {
  const { owner, scale, progress } = context
  const cases = []
  for (const users of [0, scale.users]) {
    const node = await startAimessage(owner)
    const waiting = users === 0 ? 0 : scale.waiting
    progress(`${users} users, ${waiting} messages waiting`)
    const store = await openStoreOf(owner, node)
    await registerMany(store, users)
    await writeToMany(store, waiting)
    cases.push({ system: `${users} users, ${waiting} waiting`, node, load: await Load.connect(node, narrow) })
  }
  const rows = await compare(cases, context)
  return { workload: 'growth, Redis', rows, bars: [atMost('CPU ÷ an empty Redis', ratio(rows), 1.1)] }
}

export const growth: readonly Workload[] = [
  { name: 'growth-connections', what: 'narrow beside idle connections', run: growWithConnections },
  { name: 'growth-redis', what: 'narrow on a Redis that holds much', run: growWithRedis },
]
