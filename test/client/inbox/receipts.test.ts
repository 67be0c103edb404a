import t from 'tap'
import type { ClientEvents } from '../../../src/client/base/events.ts'
import type { Effect } from '../../../src/client/inbox/effects.ts'
import { ConfirmationRecord } from '../../../src/client/outbox/confirmation-record.ts'
import { OutboxRecord } from '../../../src/client/outbox/outbox-record.ts'
import { keys } from '../../../src/client/records/keys.ts'
import type { StateStore } from '../../../src/client/state/state-store.ts'
import { encodeReceipt } from '../../../src/crypto/messages/content.ts'
import { randomBytes } from '../../../src/crypto/provider.ts'
import { parseUsername } from '../../../src/protocol/names.ts'
import { encodeBase64Url } from '../../../src/util/bytes.ts'
import { Emitter } from '../../../src/util/emitter.ts'
import { makeAcquainted, send } from '../../../tools/clients/crypto-agents.ts'
import { TakingAgent } from '../../fixtures/worlds/taking-agent.ts'

const [alice, carol] = [parseUsername('alice'), parseUsername('carol')]
const ids = (count: number) => Array.from({ length: count }, () => randomBytes(16))
const receipt = (state: 'delivered' | 'read', of: Uint8Array[]) => encodeReceipt({ state, ids: of })

/** Returns the events `delivered` and `read` of some effects, as `STATE ID`. */
function eventsOf(effects: Effect[]): string[] {
  const events = new Emitter<ClientEvents>()
  const seen: string[] = []
  for (const name of ['delivered', 'read'] as const) events.on(name, ({ id, to }) => seen.push(`${name} ${id} ${to}`))
  for (const effect of effects) if (effect.kind === 'event') effect.emit(events)
  return seen
}

/** Counts the values that transactions read. */
function countReads(store: StateStore): { values: number } {
  const count = { values: 0 }
  const transaction = store.transaction.bind(store)
  store.transaction = work =>
    transaction(tx =>
      work({
        put: (key, value) => tx.put(key, value),
        delete: key => tx.delete(key),
        get: async key => {
          count.values += 1
          return tx.get(key)
        },
        list: async (prefix, options) => {
          const entries = await tx.list(prefix, options)
          count.values += entries.length
          return entries
        },
      }),
    )
  return count
}

const record = (id: Uint8Array, order: number) =>
  OutboxRecord.encode({
    id: encodeBase64Url(id),
    order,
    kind: 'application',
    body: encodeBase64Url(new Uint8Array(2_000)),
    sentAt: 1,
    expiresAt: 2 ** 50,
    sealed: { frameId: 'x', body: 'AAAA' },
  })

t.test('17.5 a receipt of invented ids costs work linear in its ids and emits nothing', async t => {
  for (const [count, waiting] of [
    [500, 0],
    [500, 400],
    [250, 400],
  ] as const) {
    const [sender, recipient] = makeAcquainted(`invented ${count} ${waiting}`)
    const bob = await TakingAgent.open(recipient, 'alice')
    await bob.store.transaction(tx => {
      for (const [order, id] of ids(waiting).entries()) tx.put(keys.outbox(alice, order), record(id, order))
    })
    const reads = countReads(bob.store)
    const effects = await bob.take('alice', send(sender, receipt('delivered', ids(count)), 'receipt'))
    t.same(eventsOf(effects), [])
    t.equal(await bob.count(keys.confirmations()), 0)
    t.ok(reads.values <= 2 * count + 100, `${reads.values} values for ${count} ids, ${waiting} messages waiting`)
  }
})

t.test('17.5 a receipt of more than 500 ids is refused, and its ids do not count', async t => {
  const [sender, recipient] = makeAcquainted('large')
  const bob = await TakingAgent.open(recipient, 'alice')
  const [sent = new Uint8Array()] = ids(1)
  await bob.store.transaction(tx => tx.put(keys.sent(alice, encodeBase64Url(sent)), record(sent, 1)))
  for (const count of [501, 4_000]) {
    const body = send(sender, receipt('read', [sent, ...ids(count - 1)]), 'receipt')
    t.same(eventsOf(await bob.take('alice', body)), [])
  }
  t.equal(await bob.count(keys.sents()), 1)
  t.equal(await bob.count(keys.undecryptableOf(alice)), 2, 'both are reported and kept')
  const most = send(sender, receipt('read', [...ids(499), sent]), 'receipt')
  t.same(eventsOf(await bob.take('alice', most)), [`read ${encodeBase64Url(sent)} alice`])
})

t.test('17.5 only messages that were sent to this peer are reported, once for each state', async t => {
  const [sender, recipient] = makeAcquainted('foreign')
  const bob = await TakingAgent.open(recipient, 'alice')
  const [own, foreign, inFlight, confirmed] = ids(4) as [Uint8Array, Uint8Array, Uint8Array, Uint8Array]
  await bob.store.transaction(tx => {
    tx.put(keys.sent(alice, encodeBase64Url(own)), record(own, 1))
    tx.put(keys.sent(carol, encodeBase64Url(foreign)), record(foreign, 2))
    tx.put(keys.outbox(alice, 3), record(inFlight, 3))
    const known = { to: 'carol', at: 1, confirmed: { state: 'delivered' } } as const
    tx.put(keys.confirmed(encodeBase64Url(confirmed)), ConfirmationRecord.encode(known))
  })
  const all = [own, foreign, inFlight, confirmed, own]
  const take = async (state: 'delivered' | 'read') =>
    eventsOf(await bob.take('alice', send(sender, receipt(state, all), 'receipt'))).sort()
  const expected = (state: string) => [own, inFlight].map(id => `${state} ${encodeBase64Url(id)} alice`).sort()
  t.same(await take('delivered'), expected('delivered'))
  t.same(await take('delivered'), [], 'a repeat')
  t.same(await take('read'), expected('read'))
  t.same(await take('delivered'), [], 'a late one')
  t.equal(await bob.count(keys.sentTo(carol)), 1, 'the message to another peer still waits for its receipt')
})
