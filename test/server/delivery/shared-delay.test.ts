import t from 'tap'
import { Round } from '../../../src/server/delivery/shared-delay.ts'

function round() {
  const timers: { ms: number; run: () => void }[] = []
  const after = (ms: number, run: () => void) => {
    timers.push({ ms, run })
    return { cancel: () => {} }
  }
  const ran: string[] = []
  return { round: new Round(5, { after }), timers, ran, task: (name: string) => () => void ran.push(name) }
}

t.test('whatever joins until the timer fires runs once, in the same turn', async t => {
  const { round: acks, timers, ran, task } = round()
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

t.test('who leaves is not run, and who joins while it runs comes in the next round', async t => {
  const { round: acks, timers, ran, task } = round()
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
