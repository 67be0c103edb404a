import t from 'tap'
import { SharedDelay } from '../../../src/server/delivery/shared-delay.ts'

function delay() {
  const timers: { ms: number; run: () => void }[] = []
  const after = (ms: number, run: () => void) => {
    timers.push({ ms, run })
    return { cancel: () => {} }
  }
  const ran: string[] = []
  return { delay: new SharedDelay(5, { after }), timers, ran, task: (name: string) => () => void ran.push(name) }
}

t.test('all work that joins before the timer fires runs once, in the same turn', async t => {
  const { delay: acks, timers, ran, task } = delay()
  const [one, two] = [task('one'), task('two')]
  for (const run of [one, two, one]) acks.join(run)
  t.same(
    timers.map(({ ms }) => ms),
    [5],
  )
  t.same(ran, [])
  timers[0]?.run()
  t.same(ran, ['one', 'two'])
})

t.test('work that leaves does not run, and work that joins during a run runs after the next delay', async t => {
  const { delay: acks, timers, ran, task } = delay()
  const [gone, late] = [task('gone'), task('late')]
  acks.join(gone)
  acks.join(() => acks.join(late))
  acks.leave(gone)
  timers[0]?.run()
  t.same(ran, [])
  t.equal(timers.length, 2)
  timers[1]?.run()
  t.same(ran, ['late'])
})
