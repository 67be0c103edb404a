import fc from 'fast-check'
import t from 'tap'
import { limits } from '../../../src/protocol/limits.ts'
import { parseUsername } from '../../../src/protocol/names.ts'
import { type Send, SendBatch, SendStream } from '../../../src/server/delivery/send-batch.ts'
import { type AppendItem, type AppendResult, StoreUnavailableError } from '../../../src/server/store/store.ts'
import { type Deferred, defer } from '../../../src/util/deferred.ts'

const alice = parseUsername('alice')
const send = (id: string, to = 'bob', body = 'AAAA'): Send => ({
  from: alice,
  to: parseUsername(to),
  id,
  kind: 'message',
  body,
  ttlMs: 1_000,
})
const stored = (seq: number): AppendResult => ({ status: 'stored', seq, queued: false, repeated: false })
const full: AppendResult = { status: 'inbox_full', retryAfter: 3 }

/** Appends that a test answers one by one, to simulate an unreachable store or a full inbox at the right moment. */
class Appends {
  readonly calls: { ids: string[]; answer: Deferred<AppendResult[]> }[] = []
  #arrived = defer<void>()

  append(items: readonly AppendItem[]): Promise<AppendResult[]> {
    const answer = defer<AppendResult[]>()
    this.calls.push({ ids: items.map(({ id }) => id), answer })
    this.#arrived.resolve()
    this.#arrived = defer()
    return answer.promise
  }

  async call(index: number): Promise<{ ids: string[]; answer: Deferred<AppendResult[]> }> {
    for (;;) {
      const call = this.calls[index]
      if (call) return call
      await this.#arrived.promise
    }
  }
}

t.test('all appends of one turn share one call, in order', async t => {
  const store = new Appends()
  const batch = new SendBatch(store)
  const [one, two] = [new SendStream('1'), new SendStream('2')]
  const answers = [batch.append(one, send('a')), batch.append(two, send('b')), batch.append(one, send('c', 'carol'))]
  const call = await store.call(0)
  t.same(call.ids, ['a', 'b', 'c'])
  call.answer.resolve([stored(1), stored(2), stored(3)])
  t.same(await Promise.all(answers), [stored(1), stored(2), stored(3)])
  t.equal(store.calls.length, 1)
})

t.test('a call has a limit of items and bytes', async t => {
  const store = new Appends()
  const batch = new SendBatch(store)
  for (let index = 0; index < 250; index += 1) void batch.append(new SendStream(`${index}`), send(`${index}`))
  await store.call(2)
  t.same(
    store.calls.map(({ ids }) => ids.length),
    [limits.maxBatchItems, limits.maxBatchItems, 50],
  )
  const big = new Appends()
  const bigBatch = new SendBatch(big)
  const body = 'A'.repeat(limits.maxBodyChars)
  for (let index = 0; index < 10; index += 1)
    void bigBatch.append(new SendStream(`${index}`), send(`${index}`, 'bob', body))
  await big.call(1)
  t.same(
    big.calls.map(({ ids }) => ids.length),
    [8, 2],
  )
})

t.test('a stream with an append in progress waits for it; other streams do not', async t => {
  const store = new Appends()
  const batch = new SendBatch(store)
  const [one, two] = [new SendStream('1'), new SendStream('2')]
  void batch.append(one, send('a'))
  const first = await store.call(0)
  void batch.append(one, send('b'))
  void batch.append(two, send('c'))
  t.same((await store.call(1)).ids, ['c'])
  first.answer.resolve([stored(1)])
  t.same((await store.call(2)).ids, ['b'])
})

t.test('after a retryable refusal, later sends to the same recipient are refused until its id is repeated', async t => {
  const store = new Appends()
  const batch = new SendBatch(store)
  const stream = new SendStream('1')
  const refused = batch.append(stream, send('a'))
  const call = await store.call(0)
  const successor = batch.append(stream, send('b'))
  const other = batch.append(stream, send('x', 'carol'))
  call.answer.resolve([full])
  t.same(await refused, full)
  t.same(await successor, full, 'it waited while the first one was refused')
  const next = await store.call(1)
  t.same(next.ids, ['x'], 'another recipient is not concerned')
  next.answer.resolve([stored(5)])
  t.same(await other, stored(5))
  t.same(await batch.append(stream, send('c')), full)
  const again = [batch.append(stream, send('a')), batch.append(stream, send('b'))]
  const mended = await store.call(2)
  t.same(mended.ids, ['a'], 'the refused send goes first')
  mended.answer.resolve([stored(6)])
  t.same(await again[0], stored(6))
  const last = await store.call(3)
  t.same(last.ids, ['b'])
  last.answer.resolve([stored(7)])
  t.same(await again[1], stored(7))
})

t.test('a store out of reach is unavailable, and blocks later sends to the recipient', async t => {
  const store = new Appends()
  const faults: unknown[] = []
  const batch = new SendBatch(store, error => faults.push(error))
  const stream = new SendStream('1')
  const lost = batch.append(stream, send('a'))
  ;(await store.call(0)).answer.reject(new StoreUnavailableError('gone'))
  t.same(await lost, { status: 'unavailable' })
  t.same(await batch.append(stream, send('b')), { status: 'unavailable' })
  t.same(faults, [])
  const fault = batch.append(new SendStream('2'), send('c'))
  ;(await store.call(1)).answer.reject(new TypeError('ours'))
  t.same(await fault, { status: 'unavailable' })
  t.equal(faults.length, 1, 'an unexpected error is reported')
})

t.test(
  'sends that wait for an unresponsive store are refused with the failed call, and not tried after it',
  async t => {
    const store = new Appends()
    const batch = new SendBatch(store)
    const streams = Array.from({ length: 6 }, (_, at) => new SendStream(String(at)))
    const sends: Promise<unknown>[] = []
    for (const [at, stream] of streams.entries()) {
      sends.push(batch.append(stream, send(String(at))))
      if (at < 4) await store.call(at)
    }
    const behind = batch.append(streams[1] ?? new SendStream(''), send('behind'))
    ;(await store.call(0)).answer.reject(new StoreUnavailableError('no answer'))
    for (const at of [0, 4, 5]) t.same(await sends[at], { status: 'unavailable' }, `send ${at}`)
    ;(await store.call(1)).answer.resolve([stored(1)])
    t.same(await sends[1], stored(1))
    t.same(await behind, { status: 'unavailable' }, 'in its turn')
    const next = batch.append(new SendStream('new'), send('new'))
    t.same((await store.call(4)).ids, ['new'], 'later sends are tried')
    ;(await store.call(4)).answer.resolve([stored(2)])
    t.same(await next, stored(2))
  },
)

t.test('a final refusal blocks no later send', async t => {
  const store = new Appends()
  const batch = new SendBatch(store)
  const stream = new SendStream('1')
  const unknown = batch.append(stream, send('a'))
  ;(await store.call(0)).answer.resolve([{ status: 'unknown_user' }])
  t.same(await unknown, { status: 'unknown_user' })
  const next = batch.append(stream, send('b'))
  ;(await store.call(1)).answer.resolve([stored(1)])
  t.same(await next, stored(1))
})

t.test('a send refused untried is answered after the sends before it', async t => {
  const store = new Appends()
  const batch = new SendBatch(store)
  const stream = new SendStream('1')
  const before = batch.append(stream, send('a'))
  void batch.refuse(stream, send('b'))
  const after = batch.append(stream, send('c'))
  const call = await store.call(0)
  t.same(call.ids, ['a'])
  call.answer.resolve([stored(1)])
  t.same(await before, stored(1))
  t.same(await after, { status: 'unavailable' })
})

t.test('it is idle when no send waits and no append is in progress', async t => {
  const store = new Appends()
  const batch = new SendBatch(store)
  await batch.idle()
  const answer = batch.append(new SendStream('1'), send('a'))
  let idle = false
  const whenIdle = batch.idle().then(() => {
    idle = true
  })
  const call = await store.call(0)
  t.notOk(idle)
  call.answer.resolve([stored(1)])
  await answer
  await whenIdle
  t.ok(idle)
})

// Evidence: D8
t.test('whichever sends are refused, the stored sends of a stream to a recipient are in the order sent', async t => {
  const scenario = fc.record({
    refusals: fc.array(fc.boolean(), { minLength: 30, maxLength: 30 }),
    sends: fc.array(fc.record({ to: fc.constantFrom('bob', 'carol'), turn: fc.boolean() }), {
      minLength: 1,
      maxLength: 12,
    }),
  })
  await fc.assert(
    fc.asyncProperty(scenario, async ({ refusals, sends }) => {
      const order: { to: string; id: string }[] = []
      let calls = 0
      const store = {
        append: async (items: readonly AppendItem[]): Promise<AppendResult[]> => {
          const failing = new Set<string>()
          return items.map(({ to, id }) => {
            calls += 1
            if (failing.has(to) || refusals[calls % 30]) {
              failing.add(to)
              return full
            }
            if (!order.some(before => before.id === id)) order.push({ to, id })
            return stored(order.length)
          })
        },
      }
      const batch = new SendBatch(store)
      const stream = new SendStream('1')
      const turn = () => new Promise(resolve => setImmediate(resolve))
      let left = sends.map(({ to, turn: wait }, index) => ({ item: send(`m${index}`, to), wait }))
      for (let round = 0; round < 40 && left.length > 0; round += 1) {
        const answers: Promise<AppendResult>[] = []
        for (const { item, wait } of left) {
          answers.push(batch.append(stream, item))
          if (wait) await turn()
        }
        const results = await Promise.all(answers)
        left = left.filter((_, index) => results[index]?.status !== 'stored')
      }
      for (const to of ['bob', 'carol']) {
        const ids = order.filter(entry => entry.to === to).map(({ id }) => Number(id.slice(1)))
        if (ids.some((id, index) => index > 0 && id < (ids[index - 1] ?? 0))) return false
      }
      return true
    }),
    { numRuns: 200 },
  )
  t.pass()
})
