import { randomUUID } from 'node:crypto'
import t from 'tap'
import { limits } from '../../../../src/protocol/limits.ts'
import { parseUsername } from '../../../../src/protocol/names.ts'
import { openRedisStore } from '../../../../src/server/store/redis/redis-store.ts'
import type { Store } from '../../../../src/server/store/store.ts'
import { startRedis } from '../../../../tools/servers/redis.ts'
import { alice, append, bob, claimed, contractOptions, item, register, socket } from '../contract/world.ts'

const total = 100_000
/** The longest acceptable script, because a script blocks all other commands, ms. */
const slowMs = 10
const room = { inboxMaxMessages: 2 * total, inboxMaxBytes: 1_073_741_824 }
const batch = limits.maxBatchItems

/** Fills the inbox of alice from as many senders as the limits require. */
async function fill(store: Store): Promise<void> {
  const senders = Math.ceil(total / limits.maxEnvelopesPerSender)
  for (let sender = 0; sender < senders; sender += 1) {
    const from = parseUsername(`sender-${sender}`)
    const count = Math.min(limits.maxEnvelopesPerSender, total - sender * limits.maxEnvelopesPerSender)
    for (let at = 0; at < count; at += batch) {
      const ids = Array.from({ length: Math.min(batch, count - at) }, (_, next) => `m${at + next}`)
      await append(store, ...ids.map(id => item(id, { from, body: 'x'.repeat(256) })))
    }
  }
}

/** Sends to bob one by one until `over` aborts. Returns the sorted durations, ms. */
async function sendsBeside(store: Store, over: AbortSignal): Promise<number[]> {
  const took: number[] = []
  for (let at = 0; !over.aborted; at += 1) {
    const since = performance.now()
    await append(store, item(randomUUID(), { from: parseUsername(`other-${at % 500}`), to: bob }))
    took.push(performance.now() - since)
  }
  return took.sort((a, b) => a - b)
}

const p99 = (sorted: readonly number[]): number => sorted[Math.floor(sorted.length * 0.99)] ?? 0

async function beside<Result>(store: Store, work: () => Promise<Result>): Promise<{ result: Result; took: number[] }> {
  const over = new AbortController()
  const sending = sendsBeside(store, over.signal)
  const result = await work()
  over.abort()
  return { result, took: await sending }
}

// Evidence: R9
t.test(
  'R9: draining and acknowledging an inbox of 100 000 runs no long script and does not delay other senders',
  async t => {
    const redis = await startRedis(t, {
      config: { 'slowlog-log-slower-than': String(slowMs * 1_000), 'slowlog-max-len': '1000' },
    })
    const open = async () => {
      const store = await openRedisStore({ ...contractOptions, ...room, nodeId: randomUUID() }, { url: redis.url })
      t.teardown(() => store.close())
      return store
    }
    const [store, other] = [await open(), await open()]
    await register(store, alice, bob)
    await fill(store)
    t.equal(await store.inboxes.countQueued(alice), total)
    const claim = await claimed(store, alice, socket('c1'))
    const drain = async (acknowledges: boolean) => {
      let [after, read] = [0, 0]
      for (;;) {
        const envelopes = await store.inboxes.read(claim, after, { maxItems: batch, maxBytes: 262_144 })
        const last = envelopes === 'stale' ? undefined : envelopes.at(-1)
        if (!last) return { read, after }
        read += envelopes.length
        after = last.seq
        if (acknowledges && read < total / 2) await store.inboxes.ack(claim, after)
      }
    }
    const base = await beside(other, () => drain(false))
    await redis.cli('SLOWLOG', 'RESET')
    await redis.cli('CONFIG', 'RESETSTAT')

    const drained = await beside(other, () => drain(true))
    t.equal(drained.result.read, total)
    // Acknowledges the rest except the last envelope in one call: the longest path.
    const acked = await beside(other, () => store.inboxes.ack(claim, drained.result.after - 1))
    t.equal(acked.result, 'acked')
    t.equal(await store.inboxes.countQueued(alice), 1)

    const slow = await redis.cli('SLOWLOG', 'GET', -1)
    const slowest = Array.isArray(slow) ? slow.map(([, , us]) => Number(us)).sort((a, b) => b - a) : []
    const stats = String(await redis.cli('INFO', 'latencystats'))
    const evalsha = /evalsha:p50=([\d.]+),p99=([\d.]+),p99.9=([\d.]+)/.exec(stats)
    t.comment(
      `scripts, µs: p50 ${evalsha?.[1]}, p99 ${evalsha?.[2]}, p99.9 ${evalsha?.[3]}; over ${slowMs} ms: ${slowest}`,
    )
    const [before, during, while_] = [base.took, drained.took, acked.took].map(p99)
    t.comment(
      `sends of others, p99 ms: ${before?.toFixed(1)} beside reads, ${during?.toFixed(1)} beside the drain, ${while_?.toFixed(1)} beside the acknowledgement`,
    )
    t.ok(Number(evalsha?.[2]) <= slowMs * 1_000, 'p99 of all scripts')
    t.ok((during ?? 0) <= Math.max(2 * (before ?? 0), 50))
    t.ok((while_ ?? 0) <= Math.max(2 * (before ?? 0), 50))
  },
)
