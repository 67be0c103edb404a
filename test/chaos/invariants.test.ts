import t from 'tap'
import { check, invariants } from '../../chaos/checker/check.ts'
import type { ReportInput } from '../../chaos/checker/report-input.ts'
import type { HistoryEvent } from '../../chaos/history/events.ts'
import {
  alice,
  at,
  audited,
  bob,
  exchange,
  inboxOf,
  lost,
  message,
  numberAt,
  reportInput,
  sentAt,
} from '../fixtures/chaos/report-input.ts'

type Case = { how: string; breaks: string; input: Partial<ReportInput> }

const seq = numberAt(sentAt + 2)
const conn = '1.1'
const about = { cid: 'alice/1/1', rcpt: bob, h: 'text 1' }
const wire = { rcpt: bob, frame: 'frame 1', h: 'body 1' }
const push = {
  ev: 'push',
  conn,
  connEpoch: numberAt(12),
  sender: alice,
  frame: 'frame 1',
  h: 'body 1',
  seq,
  prev: 0,
} as const
const recv = { ev: 'recv', by: 0, cid: 'alice/1/1', sender: alice, h: 'text 1', repeated: true } as const
const whole = reportInput()
const without = (...kinds: HistoryEvent['ev'][]): HistoryEvent[] => exchange().filter(({ ev }) => !kinds.includes(ev))
const withEvents = (...events: HistoryEvent[]): HistoryEvent[] => [...exchange(), ...events].sort((a, b) => a.tm - b.tm)
const withSteps = (...steps: ReportInput['audit']) => [...whole.audit, ...steps]
const withInbox = (user: string, parts: Parameters<typeof inboxOf>[2]): ReportInput['final'] => ({
  ...whole.final,
  inboxes: whole.final.inboxes.map(inbox => (inbox.user === user ? { ...inbox, ...parts } : inbox)),
})
const entry = { seq, sender: alice, frame: 'frame 1', bytes: 6 }
const held = { entries: [entry], count: 1, bytes: 6, shares: { alice: '1 6' } }

/** Each case breaks exactly one invariant. */
const cases: Case[] = [
  { breaks: 'I1', how: 'an accepted message is never shown', input: { history: without('recv', 'acked') } },
  {
    breaks: 'I2',
    how: 'a message is shown with another text',
    input: { history: withEvents(at(150, bob, { ...recv, cid: 'alice/1/9' })) },
  },
  {
    breaks: 'I3',
    how: 'a refused message is shown',
    input: { history: withEvents(at(105, alice, { ev: 'fail', ...about, error: 'no' })) },
  },
  {
    breaks: 'I4',
    how: 'a message is shown after its acknowledgement',
    input: { history: withEvents(at(150, bob, recv)) },
  },
  {
    breaks: 'I4',
    how: 'another process shows it later',
    input: { history: withEvents(at(2_000, bob, { ...recv, by: 1 })) },
  },
  {
    breaks: 'I5',
    how: 'a position holds two envelopes',
    input: {
      history: withEvents(at(150, alice, { ev: 'accepted', conn, rcpt: bob, frame: 'frame 2', h: 'body 2', seq })),
    },
  },
  {
    breaks: 'I5',
    how: 'an envelope has two positions according to the nodes',
    input: {
      history: withEvents(at(150, bob, { ...push, seq: seq + 5, prev: seq })),
    },
  },
  {
    breaks: 'I6',
    how: 'the prev of a push differs from the previous push',
    input: { history: exchange().map(event => (event.ev === 'push' ? { ...event, prev: 7 } : event)) },
  },
  {
    breaks: 'I6',
    how: 'a connection repeats an envelope',
    input: { history: withEvents(at(150, bob, { ...push, prev: seq })) },
  },
  {
    breaks: 'I7',
    how: 'a message overtakes another one that was accepted before it was sent',
    input: { history: overtaken() },
  },
  {
    breaks: 'I9',
    how: 'an unacknowledged envelope is removed',
    input: {
      dumps: [inboxOf(bob, 300)],
      history: exchange().map(event => (event.ev === 'trim' ? { ...event, tm: 400 } : event)),
    },
  },
  {
    breaks: 'I10',
    how: 'an older claim acknowledges after a newer one is granted',
    input: {
      audit: withSteps(
        audited(200, { op: 'claim', user: bob, connEpoch: numberAt(200) }),
        audited(210, { op: 'ack', user: bob, connEpoch: numberAt(12), seq, outcome: 'acked' }),
      ),
    },
  },
  {
    breaks: 'I10',
    how: 'a replaced connection gets an envelope that no other gets',
    input: {
      history: [
        ...exchange().filter(({ ev, client }) => ev !== 'listening' || client !== bob),
        at(50, bob, { ev: 'listening', conn, connEpoch: numberAt(50), queued: 0 }),
      ].sort((a, b) => a.tm - b.tm),
      final: withInbox(bob, { connEpoch: numberAt(50) }),
    },
  },
  {
    breaks: 'I11',
    how: 'no connection listens',
    input: { history: withEvents(at(5_000, bob, { ev: 'close', conn, code: 1006, reason: '' })) },
  },
  {
    breaks: 'I11',
    how: 'two connections listen',
    input: {
      history: withEvents(at(30, alice, { ev: 'listening', conn: '1.2', connEpoch: numberAt(30), queued: 0 })),
    },
  },
  { breaks: 'I11', how: 'Redis has a different claim', input: { final: withInbox(bob, { connEpoch: numberAt(13) }) } },
  { breaks: 'I11', how: 'the listening node is dead', input: { final: withInbox(bob, { node: 'gone' }) } },
  {
    breaks: 'I12',
    how: 'a one-time key is handed out twice',
    input: {
      audit: withSteps(
        audited(30, { op: 'fetch', user: bob, requester: alice, request: 'r1', keys: ['x1'] }),
        audited(40, { op: 'fetch', user: bob, requester: alice, request: 'r2', keys: ['x1'] }),
      ),
    },
  },
  {
    breaks: 'I12',
    how: 'a challenge is taken twice',
    input: {
      audit: withSteps(
        audited(30, { op: 'challenge', nonce: 'n', taken: true }),
        audited(40, { op: 'challenge', nonce: 'n', taken: true }),
      ),
    },
  },
  {
    breaks: 'I12',
    how: 'a name changes its key',
    input: {
      audit: withSteps(audited(30, { op: 'register', user: bob, identity: 'another key', outcome: 'created' })),
    },
  },
  {
    breaks: 'I13',
    how: 'a send is accepted long after its token ended',
    input: {
      history: withEvents(
        at(150, alice, { ev: 'revoked', conn }),
        at(1_190, alice, { ev: 'sent', conn, ...wire }),
        at(1_200, alice, { ev: 'accepted', conn, ...wire, seq }),
      ),
    },
  },
  { breaks: 'I14', how: 'the canary is in a file', input: { leaks: ['appendonly.aof'] } },
  {
    breaks: 'I14',
    how: 'a message key encrypts twice',
    input: {
      history: withEvents(
        at(150, alice, { ev: 'sent', conn, ...wire, place: 'session key 1', digest: 'another cipher' }),
      ),
    },
  },
  { breaks: 'I15', how: 'the inboxes do not drain', input: { phases: { ...whole.phases, drained: null } } },
  { breaks: 'I15', how: 'the inboxes drain late', input: { phases: { ...whole.phases, drained: 31_000 } } },
  { breaks: 'I15', how: 'the first send is accepted late', input: { phases: { ...whole.phases, healed: -6_000 } } },
  {
    breaks: 'I15',
    how: 'a rejection is not handled',
    input: { history: withEvents(at(150, alice, { ev: 'unhandled', error: 'oh' })) },
  },
  { breaks: 'I15', how: 'a node ends', input: { crashes: ['a node ended'] } },
  { breaks: 'I15', how: 'a node grows', input: { memory: { before: [100e6], peak: [200e6], after: [200e6] } } },
  {
    breaks: 'I15',
    how: 'mail waits for a user that is online',
    input: { final: withInbox(bob, held) },
  },
  {
    breaks: 'I16',
    how: 'the sender is not informed of a loss',
    input: {
      losses: [lost(sentAt, 103)],
      history: exchange().map(event => (event.ev === 'ok' ? { ...event, tm: 103 } : event)),
    },
  },
  {
    breaks: 'I16',
    how: 'a lost message is not sent again',
    input: {
      losses: [lost(sentAt, 104.5)],
      history: withEvents(at(120, alice, { ev: 'client-event', name: 'generation', detail: '' })).map(event =>
        event.ev === 'recv' || event.ev === 'acked' ? { ...event, tm: event.tm + 6_000 } : event,
      ),
    },
  },
  { breaks: 'I17', how: 'the count of Redis is wrong', input: { final: withInbox(bob, { count: 1 }) } },
  {
    breaks: 'I17',
    how: 'the byte count of Redis is wrong',
    input: { dumps: [inboxOf(bob, 104, { ...held, bytes: 7 })] },
  },
  {
    breaks: 'I17',
    how: 'a share of Redis is wrong',
    input: { dumps: [inboxOf(bob, 104, { ...held, shares: { alice: '2 6' } })] },
  },
  {
    breaks: 'I17',
    how: 'a stored envelope has disappeared',
    input: {
      audit: withSteps(
        audited(200, { op: 'append', to: alice, from: bob, frame: 'f', seq: numberAt(200), repeated: false }),
      ),
      history: withEvents(
        at(199, bob, { ev: 'sent', conn, rcpt: alice, frame: 'f', h: 'b' }),
        at(300, alice, { ev: 'trim', conn, connEpoch: numberAt(22), seq: numberAt(200) }),
      ),
    },
  },
]

/** Bob sees the second message first, and acknowledges both in time. */
function overtaken(): HistoryEvent[] {
  const delayed = (event: HistoryEvent) =>
    event.ev === 'recv' || event.ev === 'acked' ? { ...event, tm: event.tm + 500 } : event
  return [...exchange().map(delayed), ...message(200, 2)].sort((a, b) => a.tm - b.tm)
}

t.test('there are seventeen invariants', async t => {
  t.same(
    invariants.map(({ name }) => name),
    Array.from({ length: 17 }, (_, index) => `I${index + 1}`),
  )
})

t.test('a run without errors breaks no invariant', async t => {
  t.same(check(reportInput()), [])
})

t.test('each invariant can be broken on its own', async t => {
  for (const { how, breaks, input } of cases) {
    const broken = check(reportInput(input))
    t.same(
      broken.map(({ invariant }) => invariant.name),
      [breaks],
      `${breaks}: ${how}${broken.length > 1 ? `\n${JSON.stringify(broken, null, 1)}` : ''}`,
    )
  }
  const covered = new Set(cases.map(({ breaks }) => breaks))
  t.same(
    invariants.filter(({ name }) => !covered.has(name) && name !== 'I8').map(({ name }) => name),
    [],
    'there is a case for each invariant',
  )
})

t.test('an answer with a different seq breaks the idempotence of sends and the positions', async t => {
  const again = at(150, alice, { ev: 'accepted', conn, ...wire, seq: numberAt(149) })
  const broken = check(reportInput({ history: withEvents(again) }))
  t.ok(broken.some(({ invariant }) => invariant.name === 'I8'))
})

t.test('a message that Redis lost may be stored again at another position', async t => {
  const again = numberAt(300)
  const events = [
    at(120, alice, { ev: 'client-event', name: 'generation', detail: '' }),
    at(299, alice, { ev: 'sent', conn, ...wire }),
    at(301, alice, { ev: 'accepted', conn, ...wire, seq: again }),
    at(302, bob, { ...push, conn: '1.2', seq: again }),
    at(303, bob, { ev: 'trim', conn: '1.2', connEpoch: numberAt(12), seq: again }),
  ]
  t.same(check(reportInput({ losses: [lost(sentAt, 110)], history: withEvents(...events) })), [])
})

t.test('calls that overlap a takeover may take effect', async t => {
  const steps = [
    { ...audited(199, { op: 'claim', user: bob, connEpoch: numberAt(200) }), end: 205 },
    audited(204, { op: 'ack', user: bob, connEpoch: numberAt(12), seq, outcome: 'acked' }),
  ] as const
  const listening = at(206, bob, { ev: 'listening', conn: '1.2', connEpoch: numberAt(200), queued: 0 })
  const closed = at(206, bob, { ev: 'close', conn, code: 4409, reason: '' })
  const final = withInbox(bob, { connEpoch: numberAt(200) })
  t.same(check(reportInput({ audit: withSteps(...steps), history: withEvents(listening, closed), final })), [])
})

t.test('a copy of a state excuses what went into it, and what was reported as undecryptable since', async t => {
  const broken = (input: Partial<ReportInput>) => check(reportInput(input)).map(({ invariant }) => invariant.name)
  const missing = without('recv', 'acked')
  const reported = at(140, bob, { ev: 'client-event', name: 'undecryptable', detail: '{"from":"alice"}' })
  const copyOf = (agent: string, from: number, to: number) => [{ kind: 'restore' as const, agent, from, to }]
  t.same(broken({ history: missing, copies: copyOf(bob, 90, 130) }), [], 'pushed to a state that is gone')
  t.same(broken({ history: missing, copies: copyOf(bob, 120, 130) }), ['I1'], 'pushed before the copy')
  t.same(broken({ history: missing, copies: copyOf(alice, 90, 130) }), ['I1'], "pushed to a peer's state")
  const history = [...missing, reported].sort((a, b) => a.tm - b.tm)
  t.same(broken({ history, copies: copyOf(alice, 90, 130) }), [], 'reported')
  t.same(broken({ history, copies: copyOf(bob, 150, 160) }), ['I1'], 'reported before the copy')
  t.same(broken({ history }), ['I1'], 'reported without a copy')
  const again = withEvents(at(150, bob, recv))
  t.same(broken({ history: again, copies: copyOf(bob, 90, 130) }), [], 'acknowledged in a state that is gone')
  t.same(broken({ history: again, copies: copyOf(bob, 120, 130) }), ['I4'], 'acknowledged before the copy')
})
