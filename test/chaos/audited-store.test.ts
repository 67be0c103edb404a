import t from 'tap'
import type { AuditEvent } from '../../chaos/history/events.ts'
import { auditStore } from '../../chaos/processes/audited-store.ts'
import { parseUsername } from '../../src/protocol/names.ts'
import { StoreUnavailableError } from '../../src/server/store/store.ts'
import { openTestStore, withFaults } from '../../tools/servers/running-node.ts'

const alice = parseUsername('alice')
const bob = parseUsername('bob')
const owner = (connection: string) => ({ kind: 'socket', connection, instance: '' }) as const
const item = { stream: 's', from: alice, to: bob, id: 'one', kind: 'message', body: 'AAAA', ttlMs: 60_000 } as const

t.test('calls on inboxes, names and challenges are recorded with their outcomes', async t => {
  const events: AuditEvent[] = []
  const store = auditStore(openTestStore(), event => events.push(event))
  t.teardown(() => store.close())
  await store.users.register(bob, 'key', { kind: 'open' })
  const [stored] = await store.inboxes.append([item])
  await store.inboxes.append([item, { ...item, to: parseUsername('nobody') }])
  const first = await store.inboxes.claim(bob, owner('1'))
  const second = await store.inboxes.claim(bob, owner('2'))
  if (first === 'conflict' || second === 'conflict' || stored?.status !== 'stored')
    throw new Error('unexpected outcome')
  await store.inboxes.ack(first.claim, stored.seq)
  await store.inboxes.read(second.claim, 0, { maxItems: 1, maxBytes: 1 })
  await store.logins.putChallenge('nonce', bob, 60_000)
  await Promise.all([store.logins.takeChallenge('nonce', bob), store.logins.takeChallenge('nonce', bob)])

  t.match(events, [
    { op: 'register', user: bob, identity: 'key', outcome: 'created' },
    { op: 'append', to: bob, from: alice, frame: 'one', seq: stored.seq, repeated: false },
    { op: 'append', to: bob, frame: 'one', seq: stored.seq, repeated: true },
    { op: 'claim', user: bob, connEpoch: first.claim.epoch },
    { op: 'claim', user: bob, connEpoch: second.claim.epoch },
    { op: 'ack', user: bob, connEpoch: first.claim.epoch, outcome: 'stale' },
    { op: 'read', user: bob, connEpoch: second.claim.epoch, outcome: 'read' },
    { op: 'challenge', nonce: 'nonce', taken: true },
    { op: 'challenge', nonce: 'nonce', taken: false },
  ])
  t.equal(events.length, 9)
  t.ok(events.every(({ tm, end, node }) => tm <= end && node === store.nodeId))
})

t.test('a call without a known outcome is not recorded, and still fails', async t => {
  const events: AuditEvent[] = []
  const broken = withFaults(openTestStore(), {
    inboxes: { append: () => Promise.reject(new StoreUnavailableError('away')) },
  })
  const store = auditStore(broken, event => events.push(event))
  t.teardown(() => store.close())
  await t.rejects(store.inboxes.append([item]), StoreUnavailableError)
  t.same(events, [])
})
