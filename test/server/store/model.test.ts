import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { memoryBacking, openMemoryStore } from '../../../src/server/store/memory/memory-store.ts'
import { openRedisStore } from '../../../src/server/store/redis/redis-store.ts'
import type { Store } from '../../../src/server/store/store.ts'
import { startRedis } from '../../../tools/servers/redis.ts'
import { until } from './contract/world.ts'
import { type Operation, operations, operationsWithContacts } from './model/operations.ts'
import { Player } from './model/player.ts'

/** Limits so small that sequences reach them often. */
const small = {
  messageTtlS: 86_400,
  dedupeWindowS: 86_400,
  inboxMaxMessages: 6,
  inboxMaxBytes: 400,
  senderMaxBytes: 1e9,
  addressMaxBytes: 1e9,
}
const numRuns = Number(process.env.RUNS ?? 200)
let runs = 0

async function openRedisNodes(url: string, count: number): Promise<Store[]> {
  const open = () => openRedisStore({ ...small, nodeId: randomUUID() }, { url })
  const nodes = await Promise.all(Array.from({ length: count }, open))
  t.teardown(() => Promise.all(nodes.map(node => node.close())))
  return nodes
}

function openMemoryNodes(count: number): Store[] {
  const backing = memoryBacking(small)
  return Array.from({ length: count }, () => openMemoryStore({ ...small, nodeId: randomUUID() }, backing))
}

/** Each run uses its own usernames, so that Redis need not be emptied. */
async function playBoth(redisNodes: Store[], sequence: readonly Operation[]): Promise<void> {
  const run = `r${runs++}`
  const model = new Player(openMemoryNodes(redisNodes.length), run)
  const real = new Player(redisNodes, run)
  await Promise.all(redisNodes.map(node => node.nodes.renewLease()))
  for (const operation of sequence) {
    const expected = JSON.stringify((await model.play(operation)) ?? null)
    const found = JSON.stringify((await real.play(operation)) ?? null)
    if (expected !== found) {
      throw new Error(`${JSON.stringify(operation)}\n  memory: ${expected}\n  redis:  ${found}`)
    }
  }
  await until(() => real.noticed >= model.noticed, `${model.noticed} notices have arrived (so far ${real.noticed})`)
  const [expected, found] = [JSON.stringify(model.notices), JSON.stringify(real.notices)]
  if (expected !== found) throw new Error(`notices\n  memory: ${expected}\n  redis:  ${found}`)
}

// Evidence: S6
t.test('any sequence of operations on two nodes has the same results on both engines', async t => {
  const redis = await startRedis(t)
  const nodes = await openRedisNodes(redis.url, 2)
  await fc.assert(
    fc.asyncProperty(operations, sequence => playBoth(nodes, sequence)),
    { numRuns },
  )
  t.pass(`${numRuns} sequences`)
})

t.test('any sequence of operations on one node, contacts included, has the same results on both engines', async t => {
  const redis = await startRedis(t)
  const nodes = await openRedisNodes(redis.url, 1)
  await fc.assert(
    fc.asyncProperty(operationsWithContacts, sequence => playBoth(nodes, sequence)),
    { numRuns },
  )
  t.pass(`${numRuns} sequences`)
})
