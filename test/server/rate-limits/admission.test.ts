import t from 'tap'
import { Admission } from '../../../src/server/rate-limits/admission.ts'
import { ManualClock } from '../../fixtures/manual-clock.ts'

/** Ten arrivals per second, a burst of two, and waits of up to half a second: so five may wait. */
function openAdmission() {
  const clock = new ManualClock()
  const admission = new Admission({ perSecond: 10, burst: 2, maxWaitMs: 500, maxRetryS: 3 }, clock)
  const heard: string[] = []
  const arrive = (name: string, address = name) => {
    const arrival = {
      admit: () => void heard.push(`${name} at ${clock.elapsed()}`),
      refuse: ({ code, retryAfter }: { code: string; retryAfter: number | undefined }) =>
        void heard.push(`${name}: ${code}, ${retryAfter} s`),
    }
    admission.enter(address, arrival)
    return { leave: () => admission.leave(address, arrival) }
  }
  const arriveAll = (names: string, address?: string) => names.split(' ').map(name => arrive(name, address))
  return { admission, clock, heard, arrive, arriveAll }
}

t.test('a burst is admitted at once, the others at the rate, in order of arrival', async t => {
  const { admission, clock, heard, arriveAll } = openAdmission()
  arriveAll('a b c d e')
  t.same(heard, ['a at 0', 'b at 0'])
  t.equal(admission.size, 3)
  clock.pass(1_000)
  t.same(heard.slice(2), ['c at 100', 'd at 200', 'e at 300'])
  t.equal(clock.timers, 0, 'no timer runs while nothing waits')
  arriveAll('f g h')
  clock.pass(100)
  t.same(heard.slice(5), ['f at 1000', 'g at 1000', 'h at 1100'])
})

t.test(
  'admission is round-robin over addresses: many arrivals from one address do not delay other addresses',
  async t => {
    const { clock, heard, arrive, arriveAll } = openAdmission()
    arriveAll('1 2 3 4 5 6', 'many')
    arrive('other')
    clock.pass(1_000)
    t.same(heard, ['1 at 0', '2 at 0', '3 at 100', 'other at 200', '4 at 300', '5 at 400', '6 at 500'])
  },
)

t.test('if too many wait, the last arrival of the address with the most gets a time to retry', async t => {
  const { admission, clock, heard, arrive, arriveAll } = openAdmission()
  arriveAll('1 2 3 4 5 6 7', 'many')
  arrive('other')
  t.same(heard.slice(2), ['7: unavailable, 1 s'])
  arriveAll('8 9', 'many')
  t.same(heard.slice(3), ['8: unavailable, 1 s', '9: unavailable, 1 s'])
  t.equal(admission.size, 5)
  arriveAll('10 11 12 13', 'many')
  t.same(
    heard.slice(5).map(text => text.split(', ')[1]),
    ['1 s', '1 s', '2 s', '2 s'],
    'one behind the other, at the rate',
  )
  clock.pass(500)
  t.same(heard.slice(9), ['3 at 100', 'other at 200', '4 at 300', '5 at 400', '6 at 500'])
})

t.test('no retry time exceeds the maximum', async t => {
  const { heard, arriveAll } = openAdmission()
  arriveAll(Array.from({ length: 100 }, (_none, at) => at).join(' '), 'many')
  t.equal(heard.at(-1), '99: unavailable, 3 s')
})

t.test('an arrival that leaves takes no place in the queue', async t => {
  const { admission, clock, heard, arrive } = openAdmission()
  for (const name of ['a', 'b']) arrive(name)
  const [c, d] = ['c', 'd'].map(name => arrive(name, 'same'))
  arrive('e')
  c?.leave()
  c?.leave()
  clock.pass(200)
  t.same(heard.slice(2), ['d at 100', 'e at 200'])
  d?.leave()
  t.equal(admission.size, 0)
})

t.test('after the end, all waiting and all later arrivals are refused', async t => {
  const { admission, clock, heard, arriveAll } = openAdmission()
  arriveAll('a b c')
  admission.end()
  arriveAll('d')
  clock.pass(1_000)
  t.same(heard, ['a at 0', 'b at 0', 'c: unavailable, 1 s', 'd: unavailable, 1 s'])
})
