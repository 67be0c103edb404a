import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { Durability } from '../../../../src/server/base/config.ts'
import { openRedisStore } from '../../../../src/server/store/redis/redis-store.ts'
import type { Store } from '../../../../src/server/store/store.ts'
import { startRedis } from '../../../../tools/servers/redis.ts'
import { alice, bob, contractOptions, item, register, until } from '../contract/world.ts'

const maxLagS = 2
const demanding = {
  'min-replicas-to-write': '1',
  'min-replicas-max-lag': String(maxLagS),
  'repl-diskless-sync-delay': '0',
}

/** A primary with a replica, and a node that knows only the primary. */
async function startPair(t: Test, durability: Durability) {
  const primary = await startRedis(t, { config: demanding })
  const replica = await startRedis(t, { config: { ...demanding, replicaof: `127.0.0.1 ${primary.port}` } })
  await until(async () => String(await primary.cli('INFO', 'replication')).includes('state=online'), 'it replicates')
  const options = { ...contractOptions, nodeId: randomUUID() }
  const store = await openRedisStore(options, { url: primary.url, durability })
  t.teardown(() => store.close())
  await register(store, alice, bob)
  return { primary, replica, store }
}

/** Sends for `ms`, and returns when each accepted send began, ms after `since`. */
async function acceptedFor(store: Store, ms: number, since: number): Promise<number[]> {
  const accepted: number[] = []
  while (performance.now() - since < ms) {
    const askedAt = performance.now() - since
    const [result] = await store.inboxes.append([item(randomUUID())]).catch(() => [])
    if (result?.status === 'stored') accepted.push(askedAt)
    await delay(20)
  }
  return accepted
}

for (const durability of ['standard', 'strict'] as const) {
  // Evidence: R5
  t.test(
    `R5: with a ${durability} node, a primary that is cut off accepts nothing two seconds after its maximum lag`,
    async t => {
      const { replica, store } = await startPair(t, durability)
      t.ok((await acceptedFor(store, 500, performance.now())).length > 0, 'it accepts while its replica is connected')
      // No connection closes; the replica only becomes silent.
      await replica.kill('SIGSTOP')
      const accepted = await acceptedFor(store, (maxLagS + 4) * 1_000, performance.now())
      t.comment(`accepted ${accepted.length}, the last one ${Math.round(accepted.at(-1) ?? 0)} ms after it was cut off`)
      if (durability === 'strict') t.same(accepted, [], 'nothing is accepted without the replica')
      else t.ok(accepted.length > 0)
      // Redis counts the lag in whole seconds, and checks it once a second.
      t.ok((accepted.at(-1) ?? 0) <= (maxLagS + 2) * 1_000)
    },
  )
}

// Evidence: R5
t.test('R5: an old primary that comes back without replicas accepts nothing', async t => {
  const { primary, replica, store } = await startPair(t, 'standard')
  await primary.kill('SIGKILL')
  await replica.cli('REPLICAOF', 'NO', 'ONE')
  await primary.restart()
  t.same(await acceptedFor(store, 3_000, performance.now()), [])
  await replica.cli('REPLICAOF', '127.0.0.1', primary.port)
  const again = async () => (await acceptedFor(store, 200, performance.now())).length > 0
  await until(again, 'it accepts once it has a replica again')
})
