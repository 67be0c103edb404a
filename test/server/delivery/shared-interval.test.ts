import t from 'tap'
import { SharedInterval } from '../../../src/server/delivery/shared-interval.ts'
import { ManualClock } from '../../fixtures/manual-clock.ts'

/** An interval of 10 s, with a clock that a test moves. */
function openRota() {
  const clock = new ManualClock()
  const ran: string[] = []
  const task = (name: string) => () => void ran.push(`${name} ${clock.elapsed()}`)
  return { interval: new SharedInterval(10_000, clock), clock, ran, task }
}

t.test(
  'work that joins at about the same time runs together each time, and work that joins later runs separately',
  async t => {
    const { interval, clock, ran, task } = openRota()
    interval.join(task('one'))
    clock.pass(249)
    interval.join(task('two'))
    clock.pass(51)
    interval.join(task('three'))
    t.equal(clock.timers, 2)
    clock.pass(20_000)
    t.same(ran, ['one 10000', 'two 10000', 'three 10300', 'one 20000', 'two 20000', 'three 20300'])
  },
)

t.test(
  'work that left does not run; the last one to leave cancels the timer, and work that joins then waits a full interval',
  async t => {
    const { interval, clock, ran, task } = openRota()
    const [one, two] = [interval.join(task('one')), interval.join(task('two'))]
    one.cancel()
    clock.pass(15_000)
    t.same(ran, ['two 10000'])
    two.cancel()
    two.cancel()
    t.equal(clock.timers, 0)
    clock.pass(5_000)
    interval.join(task('three'))
    clock.pass(10_000)
    t.same(ran, ['two 10000', 'three 30000'])
  },
)

t.test('work that leaves during a run does not run any more', async t => {
  const { interval, ran, task, clock } = openRota()
  const leaving: { cancel(): void }[] = []
  interval.join(() => {
    for (const one of leaving) one.cancel()
  })
  leaving.push(interval.join(task('gone')))
  clock.pass(30_000)
  t.same(ran, [])
})
