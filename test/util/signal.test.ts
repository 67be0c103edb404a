import { getEventListeners } from 'node:events'
import t from 'tap'
import { raceAbort, Signal, sleep } from '../../src/util/signal.ts'

const never = new Promise<never>(() => {})

t.test('many waiters on one signal share one event listener, and each is called', async t => {
  const abort = new AbortController()
  const waiting = Array.from({ length: 100 }, () => raceAbort(never, abort.signal))
  t.equal(getEventListeners(abort.signal, 'abort').length, 1)
  abort.abort(new Error('enough'))
  for (const each of await Promise.allSettled(waiting))
    t.match(each, { status: 'rejected', reason: { message: 'enough' } })
})

t.test('an abort after the promise has settled has no effect', async t => {
  const abort = new AbortController()
  t.equal(await raceAbort(Promise.resolve('done'), abort.signal), 'done')
  abort.abort()
  await t.rejects(raceAbort(Promise.resolve('done'), abort.signal), { name: 'AbortError' })
})

t.test('an aborted wait ends early with the reason', async t => {
  const abort = new AbortController()
  const waiting = sleep(60_000, abort.signal)
  abort.abort(new Error('enough'))
  await t.rejects(waiting, { message: 'enough' })
})

t.test('a finished wait leaves no listener on the signal', async t => {
  const abort = new AbortController()
  const composed = AbortSignal.any([abort.signal])
  await raceAbort(Promise.resolve(), composed)
  t.equal(getEventListeners(composed, 'abort').length, 0)
  const waiting = Promise.allSettled([sleep(60_000, composed), raceAbort(never, composed)])
  t.equal(getEventListeners(composed, 'abort').length, 1)
  abort.abort()
  await waiting
  t.equal(getEventListeners(composed, 'abort').length, 0)
})

t.test('a wait longer than the maximum of setTimeout does not end at once', async t => {
  const abort = new AbortController()
  const waiting = sleep(2 ** 31, abort.signal).then(() => 'over')
  t.equal(
    await Promise.race([waiting, sleep(50, new AbortController().signal).then(() => 'still waiting')]),
    'still waiting',
  )
  abort.abort()
  await t.rejects(waiting, { name: 'AbortError' })
})

t.test('a notification between the check and the wait is not missed', async () => {
  const signal = new Signal()
  const { version } = signal
  signal.notify()
  await signal.after(version)
})

t.test('`until` tries again after each notification and misses none during an attempt', async t => {
  const signal = new Signal()
  let attempts = 0
  const value = await signal.until(async () => {
    attempts += 1
    if (attempts === 3) return 'found'
    signal.notify()
    await null
    return undefined
  })
  t.equal(value, 'found')
  t.equal(attempts, 3)
})

t.test('`until` waits for a notification and ends with the reason of an abort', async t => {
  const signal = new Signal()
  const abort = new AbortController()
  let attempts = 0
  const waiting = signal.until(() => {
    attempts += 1
    return undefined
  }, abort.signal)
  await null
  t.equal(attempts, 1)
  abort.abort(new Error('enough'))
  await t.rejects(waiting, { message: 'enough' })
})

t.test('`until` returns false and null like any other value', async t => {
  t.equal(await new Signal().until(() => false), false)
  t.equal(await new Signal().until(() => null), null)
})
