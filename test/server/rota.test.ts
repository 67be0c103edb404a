import t from 'tap'
import { Rota } from '../../src/server/rota.ts'

/** A rota of 10 s, by a clock that a test moves. */
function openRota() {
  let nowMs = 0
  const timers = new Set<{ atMs: number; run: () => void }>()
  const after = (ms: number, run: () => void) => {
    const timer = { atMs: nowMs + ms, run }
    timers.add(timer)
    return { cancel: () => void timers.delete(timer) }
  }
  const pass = (ms: number) => {
    const endMs = nowMs + ms
    for (;;) {
      const [next] = [...timers].filter(({ atMs }) => atMs <= endMs).sort((one, other) => one.atMs - other.atMs)
      if (!next) break
      nowMs = next.atMs
      timers.delete(next)
      next.run()
    }
    nowMs = endMs
  }
  const ran: string[] = []
  const task = (name: string) => () => void ran.push(`${name} ${nowMs}`)
  return { rota: new Rota(10_000, { after, elapsed: () => nowMs }), timers, ran, task, pass }
}

t.test('who joins at about the same time is run together, again and again, and who joins later by itself', async t => {
  const { rota, timers, ran, task, pass } = openRota()
  rota.join(task('one'))
  pass(99)
  rota.join(task('two'))
  pass(51)
  rota.join(task('three'))
  t.equal(timers.size, 2)
  pass(20_000)
  t.same(ran, ['one 10000', 'two 10000', 'three 10150', 'one 20000', 'two 20000', 'three 20150'])
})

t.test(
  'who has left is not run; the last one takes the timer along, and who comes then waits its whole time',
  async t => {
    const { rota, timers, ran, task, pass } = openRota()
    const [one, two] = [rota.join(task('one')), rota.join(task('two'))]
    one.cancel()
    pass(15_000)
    t.same(ran, ['two 10000'])
    two.cancel()
    two.cancel()
    t.equal(timers.size, 0)
    pass(5_000)
    rota.join(task('three'))
    pass(10_000)
    t.same(ran, ['two 10000', 'three 30000'])
  },
)

t.test('who leaves while the others are run is not run any more', async t => {
  const { rota, ran, task, pass } = openRota()
  const leaving: { cancel(): void }[] = []
  rota.join(() => {
    for (const one of leaving) one.cancel()
  })
  leaving.push(rota.join(task('gone')))
  pass(30_000)
  t.same(ran, [])
})
