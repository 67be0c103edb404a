import t from 'tap'
import { check } from '../../chaos/checker/check.ts'
import { describeRun, judge, recoveryOf, summarize } from '../../chaos/report.ts'
import { alice, at, bob, exchange, message, numberAt, reportInput, sentAt } from '../fixtures/chaos/report-input.ts'

const fault = (from: number, to: number, landed: string | null) => ({ name: 'kill-node', from, to, landed }) as const

t.test('without an effective fault, or with few overlapping sends, the verdict is unknown', async t => {
  const verdictOf = (...faults: ReturnType<typeof fault>[]) => {
    const input = reportInput({ faults })
    return judge(check(input), summarize(input))
  }
  t.equal(verdictOf(), 'unknown')
  t.equal(verdictOf(fault(sentAt, sentAt + 50, null)), 'unknown')
  t.equal(verdictOf(fault(sentAt + 50, sentAt + 60, 'killed')), 'unknown')
  t.equal(verdictOf(fault(sentAt, sentAt + 50, 'killed')), 'pass')
})

t.test('a broken invariant gives the verdict broken, with or without effective faults', async t => {
  const input = reportInput({ leaks: ['a log'] })
  t.equal(judge(check(input), summarize(input)), 'broken')
  t.match(describeRun(input, summarize(input), check(input)), /BROKEN I14.*: 1 times\n {2}plaintext is in a log/)
})

t.test("sends are counted and timed from the call to the acceptance and to the recipient's application", async t => {
  const open = at(4_000, alice, { ev: 'invoke', cid: 'alice/1/9', rcpt: bob, h: 'h' })
  const repeated = at(3_500, bob, {
    ev: 'push',
    conn: '1.2',
    connEpoch: numberAt(12),
    sender: alice,
    frame: 'frame 1',
    seq: numberAt(sentAt + 2),
    prev: 0,
    h: 'body 1',
  })
  const history = [...exchange(), ...message(2_000, 2), repeated, open].sort((a, b) => a.tm - b.tm)
  const summary = summarize(reportInput({ history }))
  t.match(summary, { sent: 3, accepted: 2, refused: 0, unknown: 1, shown: 2, repeatedPushes: 0.5 })
  t.match(summary.latencies[4], { phase: 'after', what: 'accepted', count: 2, p50: 4, p99: 4 })
  t.match(summary.latencies[5], { phase: 'after', what: 'shown', count: 2, p50: 7 })
  t.same(summary.outages, [1_900])
})

t.test('frames are timed until their answer or the end of their connection', async t => {
  const frame = { conn: '1.1', rcpt: bob, frame: 'frame 9', h: 'h' }
  const history = [
    ...exchange(),
    at(200, alice, { ev: 'sent', ...frame }),
    at(230, alice, { ev: 'refused', ...frame, code: 'unavailable' }),
    at(240, alice, { ev: 'sent', ...frame }),
    at(300, alice, { ev: 'close', conn: '1.1', code: 1006, reason: '' }),
    at(900, alice, { ev: 'sent', ...frame }),
  ]
  const phases = { load: 0, firstFault: 50, healed: 800, drained: 9_000, end: 10_000 }
  t.match(summarize(reportInput({ history, phases })).answers, { count: 3, p50: 30, longest: 60 })
})

t.test('the recovery time of a fault covers the messages sent during it', async t => {
  const input = reportInput({ history: [...exchange(), ...message(2_000, 2)] })
  t.equal(recoveryOf(input, fault(1_900, 2_001, 'killed')), 2_007 - 2_001)
  t.equal(recoveryOf(input, fault(50, 2_500, 'killed')), 0)
  t.equal(recoveryOf(input, fault(3_000, 3_500, 'killed')), null, 'nothing was sent')
})
