import type { Test } from 'tap'
import { limits } from '../../../../src/protocol/limits.ts'
import type { Username } from '../../../../src/protocol/names.ts'
import { LeasedBucket, toLeaseRule } from '../../../../src/server/rate-limits/leased-bucket.ts'
import type { Bucket, Buckets } from '../../../../src/server/store/store.ts'
import { alice, bob, carol, type OpenWorld } from './world.ts'

const frames = (user: Username): Bucket => ({ kind: 'frames', user })
/** Slow enough that a bucket does not refill during a test. */
const slow = { perSecond: 0.001, burst: 100 }

export function bucketsContract(t: Test, openWorld: OpenWorld): void {
  t.test('a bucket is shared by all nodes, and grants the tokens that it has', async t => {
    const { a, b } = await openWorld(t)
    t.same(await a.buckets.lease(frames(alice), slow, { wanted: 60, needed: 1 }), { granted: 60, waitMs: 0 })
    t.same(await b.buckets.lease(frames(alice), slow, { wanted: 60, needed: 1 }), { granted: 40, waitMs: 0 })
    t.match(await a.buckets.lease(frames(alice), slow, { wanted: 60, needed: 1 }), { granted: 0 })
  })

  t.test('each user, recipient and address has its own bucket for each kind', async t => {
    const { a } = await openWorld(t)
    const buckets: Bucket[] = [
      frames(alice),
      frames(bob),
      { kind: 'bytes', user: alice },
      { kind: 'messages', user: alice, peer: bob },
      { kind: 'messages', user: alice, peer: carol },
      { kind: 'messageBytes', user: alice, peer: bob },
      { kind: 'registrations', address: '192.0.2.1' },
      { kind: 'registrations', address: '2001:db8:0:0::/64' },
    ]
    for (const bucket of buckets) {
      t.match(
        await a.buckets.lease(bucket, slow, { wanted: 100, needed: 100 }),
        { granted: 100 },
        JSON.stringify(bucket),
      )
    }
  })

  t.test('nothing is granted if fewer tokens than needed are available, and the returned wait is correct', async t => {
    const { a, pass } = await openWorld(t)
    const rate = { perSecond: 100, burst: 10 }
    await a.buckets.lease(frames(alice), rate, { wanted: 10, needed: 10 })
    const refused = await a.buckets.lease(frames(alice), rate, { wanted: 10, needed: 10 })
    t.equal(refused.granted, 0)
    t.ok(refused.waitMs > 50 && refused.waitMs <= 100, `${refused.waitMs} ms`)
    await pass(refused.waitMs)
    t.same(await a.buckets.lease(frames(alice), rate, { wanted: 10, needed: 10 }), { granted: 10, waitMs: 0 })
  })

  t.test('a bucket refills up to its burst', async t => {
    const { a, pass } = await openWorld(t)
    const rate = { perSecond: 1_000, burst: 10 }
    await a.buckets.lease(frames(alice), rate, { wanted: 10, needed: 1 })
    await pass(50)
    t.match(await a.buckets.lease(frames(alice), rate, { wanted: 1_000, needed: 1 }), { granted: 10 })
  })

  // Evidence: L5
  t.test("over two nodes, a user gets its burst and at most the slack of each node's leases", async t => {
    const { a, b } = await openWorld(t)
    const rate = { perSecond: 0.001, burst: 1_000 }
    const passed = await Promise.all([a, b].map(store => spendAll(store.buckets, rate)))
    const total = passed.reduce((sum, count) => sum + count, 0)
    const slack = 2 * rate.burst * (limits.uncountedShare + limits.leaseShare)
    t.ok(total >= rate.burst, `${total} passed of a burst of ${rate.burst}`)
    t.ok(total <= rate.burst + slack, `${total} passed, ${slack} more than the burst may`)
  })

  t.test('many small requests cost one call per block of tokens', async t => {
    const { a } = await openWorld(t)
    let calls = 0
    const counted: Buckets = {
      lease: (bucket, rate, request) => {
        calls += 1
        return a.buckets.lease(bucket, rate, request)
      },
    }
    const passed = await spendAll(counted, { perSecond: 0.001, burst: 1_000 })
    t.ok(passed >= 1_000)
    t.ok(calls <= 1 / limits.leaseShare + 3, `${calls} calls for ${passed} tokens`)
  })
}

/** Takes tokens one by one until none is left, and returns their number. */
async function spendAll(buckets: Buckets, rate: { perSecond: number; burst: number }) {
  const rule = toLeaseRule({ counting: 'blocks', away: 'open' }, rate)
  const clock = { elapsed: () => performance.now() }
  const bucket = new LeasedBucket(rule, clock, (each, request) => buckets.lease(frames(alice), each, request))
  let passed = 0
  while ((await bucket.take(1)) === 0) passed += 1
  return passed
}
