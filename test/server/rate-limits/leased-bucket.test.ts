import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { limits } from '../../../src/protocol/limits.ts'
import { LeasedBucket, type LeaseRule, toLeaseRule } from '../../../src/server/rate-limits/leased-bucket.ts'
import { type Lease, type LeaseRequest, StoreUnavailableError } from '../../../src/server/store/store.ts'
import { type Deferred, defer } from '../../../src/util/deferred.ts'

const rate = { perSecond: 100, burst: 1_000 }
const { uncountedShare, leaseShare } = limits
const uncounted = rate.burst * uncountedShare
const block = rate.burst * leaseShare
const blocks: LeaseRule = toLeaseRule({ counting: 'blocks', away: 'open' }, rate)

/** A bucket whose clock and store the test controls. */
function openBucket(rule: LeaseRule, answer: (request: LeaseRequest) => Promise<Lease>) {
  const time = { ms: 0 }
  const asked: LeaseRequest[] = []
  const bucket = new LeasedBucket(rule, { elapsed: () => time.ms }, (_rate, request) => {
    asked.push(request)
    return answer(request)
  })
  return { bucket, asked, time }
}

const grantAll = async ({ wanted }: LeaseRequest): Promise<Lease> => ({ granted: wanted, waitMs: 0 })
const away = () => Promise.reject(new StoreUnavailableError('gone'))

t.test('a small use does not ask the store', async t => {
  const { bucket, asked, time } = openBucket(blocks, grantAll)
  for (let second = 0; second < 100; second += 1) {
    for (let index = 0; index < rate.perSecond * uncountedShare; index += 1) t.equal(bucket.take(1), 0)
    time.ms += 1_000
  }
  t.same(asked, [])
})

t.test('the next block is leased before the last is spent, and no use waits', async t => {
  const { bucket, asked } = openBucket(blocks, grantAll)
  for (let index = 0; index < uncounted; index += 1) bucket.take(1)
  t.equal(await bucket.take(1), 0, 'the first block is waited for')
  for (let index = 0; index < 5 * block; index += 1) {
    t.equal(bucket.take(1), 0)
    await Promise.resolve()
    await Promise.resolve()
  }
  t.ok(asked.length <= 12, `${asked.length} questions for six blocks`)
})

t.test('many waiting uses share one request to the store, and each gets a result', async t => {
  const answers: Deferred<Lease>[] = []
  const { bucket, asked } = openBucket(blocks, () => {
    const answer = defer<Lease>()
    answers.push(answer)
    return answer.promise
  })
  bucket.take(uncounted)
  const waits = [bucket.take(1), bucket.take(1), bucket.take(1)]
  t.equal(asked.length, 1)
  answers[0]?.resolve({ granted: block, waitMs: 0 })
  t.same(await Promise.all(waits), [0, 0, 0])
})

t.test('if the store has no tokens, its wait applies, and it is not asked again before', async t => {
  const { bucket, asked, time } = openBucket(blocks, async () => ({ granted: 0, waitMs: 700 }))
  bucket.take(uncounted)
  t.equal(await bucket.take(uncounted), 700)
  time.ms += 100
  t.equal(bucket.take(uncounted), 600)
  t.equal(asked.length, 1)
  time.ms += 600
  await bucket.take(uncounted)
  t.equal(asked.length, 2)
})

t.test('a cost above the block is leased as a whole', async t => {
  const { bucket, asked } = openBucket(blocks, grantAll)
  t.equal(await bucket.take(block * 3), 0)
  t.same(asked[0], { wanted: block * 3, needed: block * 3 })
})

t.test('an open bucket continues alone while the store is out of reach, at the same rate', async t => {
  const { bucket, asked, time } = openBucket(blocks, away)
  bucket.take(uncounted)
  let passed = 0
  for (let index = 0; index < 2 * rate.burst; index += 1) if ((await bucket.take(1)) === 0) passed += 1
  t.equal(passed, rate.burst)
  t.equal(asked.length, 1, 'it asks once a second')
  time.ms += 1_000
  t.equal(await bucket.take(1), 0)
})

t.test('only the first use waits for an unresponsive store', async t => {
  const answers: Deferred<Lease>[] = []
  const { bucket, time } = openBucket(blocks, () => {
    const answer = defer<Lease>()
    answers.push(answer)
    return answer.promise
  })
  bucket.take(uncounted)
  const first = bucket.take(1)
  answers[0]?.reject(new StoreUnavailableError('silent'))
  t.equal(await first, 0)
  time.ms += 1_000
  t.equal(bucket.take(uncounted), 0, 'it is asked again meanwhile')
  t.equal(answers.length, 2)
  answers[1]?.resolve({ granted: block, waitMs: 0 })
  await setImmediate()
  t.equal(bucket.take(block), 0)
  t.equal(answers.length, 3, 'it is counted there again')
})

t.test('a shut bucket refuses while the store is out of reach', async t => {
  const { bucket } = openBucket(toLeaseRule({ counting: 'each', away: 'shut' }, rate), away)
  await t.rejects(Promise.resolve(bucket.take(1)), StoreUnavailableError)
})

t.test('a bucket that counts each token asks for each, and for no more', async t => {
  const { bucket, asked } = openBucket(toLeaseRule({ counting: 'each', away: 'shut' }, rate), grantAll)
  for (let index = 0; index < 3; index += 1) t.equal(await bucket.take(1), 0)
  t.same(
    asked,
    Array.from({ length: 3 }, () => ({ wanted: 1, needed: 1 })),
  )
})
