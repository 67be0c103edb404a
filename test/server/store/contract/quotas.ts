import type { Test } from 'tap'
import { limits } from '../../../../src/protocol/limits.ts'
import { parseUsername } from '../../../../src/protocol/names.ts'
import type { AppendItem } from '../../../../src/server/store/store.ts'
import {
  alice,
  append,
  bob,
  carol,
  claimed,
  dave,
  idsOf,
  item,
  type OpenWorld,
  readAll,
  register,
  socket,
  statuses,
} from './world.ts'

const sender = (index: number) => parseUsername(`sender-${index}`)
/** Items of many senders, so that no sender exceeds its share. */
const ofMany = (count: number, changes: Partial<AppendItem> = {}): AppendItem[] =>
  Array.from({ length: count }, (_, index) => item('m', { from: sender(index), stream: `s${index}`, ...changes }))

export function quotasContract(t: Test, openWorld: OpenWorld): void {
  // Evidence: D12
  t.test('an inbox has a maximum number of envelopes, and has room again after an acknowledgement', async t => {
    const { a, b } = await openWorld(t, { inboxMaxMessages: 3 })
    await register(a, alice, carol)
    const [one = 0, two = 0] = await append(a, item('m1'), item('m2'), item('m3'))
    const [refused] = await b.inboxes.append([item('m4')])
    t.equal(refused?.status, 'inbox_full')
    t.ok(refused?.status === 'inbox_full' && refused.retryAfter > 0)
    t.same(statuses(await a.inboxes.append([item('m1'), item('m5', { stream: 'other' })])), ['stored', 'inbox_full'])
    const claim = await claimed(a, alice, socket('c1'))
    t.same(
      idsOf(await readAll(a, claim)),
      ['m1', 'm2', 'm3'],
      'a refused envelope is not stored, and no envelope is dropped for it',
    )
    await a.inboxes.ack(claim, one)
    t.same(statuses(await b.inboxes.append([item('m4')])), ['stored'], 'the refusal is not a dedupe entry')
    t.same(statuses(await b.inboxes.append([item('m5')])), ['inbox_full'])
    await a.inboxes.ack(claim, two + 1)
    t.same(statuses(await b.inboxes.append([item('m5'), item('m6')])), ['stored', 'stored'])
  })

  t.test('an inbox has a maximum number of bytes', async t => {
    const { a } = await openWorld(t, { inboxMaxBytes: 1_000 })
    await register(a, alice)
    t.same(new Set(statuses(await a.inboxes.append(ofMany(9, { body: 'x'.repeat(100) })))), new Set(['stored']))
    const last = item('last', { from: carol, body: 'x'.repeat(100) })
    t.same(statuses(await a.inboxes.append([last])), ['stored'], 'exactly up to the limit')
    t.same(statuses(await a.inboxes.append([item('more', { from: dave, body: 'x' })])), ['inbox_full'])
    const claim = await claimed(a, alice, socket('c1'))
    const [first] = await readAll(a, claim)
    await a.inboxes.ack(claim, first?.seq ?? 0)
    t.same(statuses(await a.inboxes.append([item('more', { from: dave, body: 'x' })])), ['stored'])
  })

  // Evidence: D12
  t.test('one sender can use at most a tenth of the bytes of an inbox', async t => {
    const { a } = await openWorld(t, { inboxMaxBytes: 10_000 })
    await register(a, alice)
    const half = 'x'.repeat(500)
    t.same(statuses(await a.inboxes.append([item('m1', { body: half }), item('m2', { body: half })])), [
      'stored',
      'stored',
    ])
    t.same(statuses(await a.inboxes.append([item('m3', { body: 'x' })])), ['inbox_full'])
    t.same(
      statuses(await a.inboxes.append([item('m3', { body: half, from: carol })])),
      ['stored'],
      'other senders still have room',
    )
    const claim = await claimed(a, alice, socket('c1'))
    const [first] = await readAll(a, claim)
    await a.inboxes.ack(claim, first?.seq ?? 0)
    t.same(statuses(await a.inboxes.append([item('m3', { body: half })])), ['stored'])
    t.same(statuses(await a.inboxes.append([item('m4', { body: 'x' })])), ['inbox_full'])
  })

  // Evidence: X7
  t.test('one sender has a maximum number of envelopes in an inbox', async t => {
    const { a } = await openWorld(t)
    await register(a, alice)
    const most = limits.maxEnvelopesPerSender
    for (let from = 0; from < most; from += 100) {
      await append(a, ...Array.from({ length: 100 }, (_, index) => item(`m${from + index}`, { body: 'x' })))
    }
    t.same(statuses(await a.inboxes.append([item('over')])), ['inbox_full'])
    t.same(statuses(await a.inboxes.append([item('m1', { from: carol })])), ['stored'])
    const claim = await claimed(a, alice, socket('c1'))
    const [, second] = await readAll(a, claim)
    await a.inboxes.ack(claim, second?.seq ?? 0)
    t.same(statuses(await a.inboxes.append([item('o1'), item('o2'), item('o3')])), ['stored', 'stored', 'inbox_full'])
    await a.inboxes.ack(claim, Number.MAX_SAFE_INTEGER)
    t.equal(await a.inboxes.countQueued(alice), 0)
    t.same(statuses(await a.inboxes.append([item('o3')])), ['stored'])
  })

  t.test('expired envelopes make room, even if nobody reads the inbox', async t => {
    const { a, pass } = await openWorld(t, { inboxMaxMessages: 3 })
    await register(a, alice)
    await append(a, item('m1', { ttlMs: 20 }), item('m2'), item('m3', { ttlMs: 20 }))
    await pass(40)
    t.same(statuses(await a.inboxes.append([item('m4'), item('m5'), item('m6')])), ['stored', 'stored', 'inbox_full'])
    t.same(idsOf(await readAll(a, await claimed(a, alice, socket('c1')))), ['m2', 'm4', 'm5'])
  })

  // Evidence: API4
  t.test('a full inbox does not affect other recipients', async t => {
    const { a } = await openWorld(t, { inboxMaxMessages: 1 })
    await register(a, alice, carol)
    await append(a, item('m0'))
    const results = await a.inboxes.append([item('m1'), item('m1', { to: carol }), item('m1', { to: dave })])
    t.same(statuses(results), ['inbox_full', 'stored', 'unknown_user'])
  })

  t.test(
    'after a refusal, later sends of the stream to that recipient are also refused, so that none overtakes',
    async t => {
      const { a } = await openWorld(t, { inboxMaxBytes: 1_000 })
      await register(a, alice, carol)
      const large = 'x'.repeat(101)
      const results = await a.inboxes.append([
        item('m1'),
        item('m2', { body: large }),
        item('m3'),
        item('m3', { to: carol }),
        item('m4', { stream: 'other' }),
        item('m1'),
        item('m5', { stream: 'other', from: dave }),
      ])
      t.same(statuses(results), ['stored', 'inbox_full', 'inbox_full', 'stored', 'stored', 'inbox_full', 'stored'])
      t.same(idsOf(await readAll(a, await claimed(a, alice, socket('c1')))), ['m1', 'm4', 'm5'])
      t.same(statuses(await a.inboxes.append([item('m3')])), ['stored'], 'another batch is another attempt')
      t.equal(await a.inboxes.countQueued(carol), 1)
    },
  )

  t.test('a refusal that no retry can resolve does not block later sends', async t => {
    const { a } = await openWorld(t)
    await register(a, alice)
    await append(a, item('m1'))
    const results = await a.inboxes.append([
      item('m1', { body: 'other' }),
      item('m2'),
      item('m1', { to: carol }),
      item('m3'),
    ])
    t.same(statuses(results), ['id_reused', 'stored', 'unknown_user', 'stored'])
    t.equal((await readAll(a, await claimed(a, alice, socket('c1'))))[0]?.from, bob)
  })
}
