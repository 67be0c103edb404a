import type { Test } from 'tap'
import {
  alice,
  append,
  bob,
  carol,
  claimed,
  dave,
  item,
  Notices,
  type OpenWorld,
  readAll,
  register,
  seqOf,
  socket,
  statuses,
} from './world.ts'

export function repeatingContract(t: Test, openWorld: OpenWorld): void {
  // Evidence: N7
  t.test('a repeated send stores nothing and returns the same sequence number', async t => {
    const { a, b } = await openWorld(t)
    await register(a, alice)
    const [first] = await a.inboxes.append([item('m1')])
    t.match(first, { status: 'stored', repeated: false })
    await append(a, item('m2'))
    const [again] = await b.inboxes.append([item('m1')])
    t.match(again, { status: 'stored', repeated: true, seq: seqOf(first) })
    t.equal(await a.inboxes.countQueued(alice), 2)
  })

  t.test('a send repeated in one batch is stored once', async t => {
    const { a } = await openWorld(t)
    await register(a, alice)
    const [first, again] = await a.inboxes.append([item('m1'), item('m1')])
    t.equal(seqOf(first), seqOf(again))
    t.match([first, again], [{ repeated: false }, { repeated: true }])
    t.equal(await a.inboxes.countQueued(alice), 1)
  })

  // Evidence: C9
  t.test('of many concurrent equal sends on two nodes, one is stored', async t => {
    const { a, b } = await openWorld(t)
    await register(a, alice)
    const results = await Promise.all(
      Array.from({ length: 100 }, (_, index) => (index % 2 ? a : b).inboxes.append([item('m1')])),
    )
    t.equal(new Set(results.map(([result]) => seqOf(result))).size, 1)
    t.equal(results.filter(([result]) => result?.status === 'stored' && !result.repeated).length, 1)
    t.equal(await a.inboxes.countQueued(alice), 1)
  })

  t.test('an id with another body or kind is reported as reused, and nothing is stored', async t => {
    const { a } = await openWorld(t)
    await register(a, alice)
    const [seq] = await append(a, item('m1'))
    const other = [item('m1', { body: 'other' }), item('m1', { kind: 'key_exchange' }), item('m1', { ttlMs: 5 })]
    const results = await a.inboxes.append(other)
    t.same(statuses(results), ['id_reused', 'id_reused', 'stored'])
    t.equal(seqOf(results[2]), seq, 'the ttl is not compared')
    t.equal(await a.inboxes.countQueued(alice), 1)
  })

  t.test('ids are separate for each sender and each recipient', async t => {
    const { a } = await openWorld(t)
    await register(a, alice, carol)
    const results = await a.inboxes.append([
      item('m1'),
      item('m1', { from: dave, body: 'x' }),
      item('m1', { to: carol, body: 'y' }),
    ])
    t.match(results, [{ repeated: false }, { repeated: false }, { repeated: false }])
  })

  t.test('a send is also recognized as repeated on another stream of the sender', async t => {
    const { a } = await openWorld(t)
    await register(a, alice)
    const [seq] = await append(a, item('m1', { stream: 'one' }))
    t.same(await append(a, item('m1', { stream: 'two' })), [seq])
  })

  t.test('a repetition after the acknowledgement is recognized and does not store the envelope again', async t => {
    const { a, b } = await openWorld(t)
    await register(a, alice)
    const [seq = 0] = await append(a, item('m1'))
    const claim = await claimed(a, alice, socket('c1'))
    await a.inboxes.ack(claim, seq)
    t.match(await b.inboxes.append([item('m1')]), [{ status: 'stored', seq, repeated: true }])
    t.same(await readAll(a, claim), [])
    t.same(statuses(await b.inboxes.append([item('m1', { body: 'other' })])), ['id_reused'])
  })

  t.test('a repetition sends the hint again, so that a lost hint does no harm', async t => {
    const { a, b } = await openWorld(t)
    await register(a, alice)
    const notices = new Notices(a)
    const claim = await claimed(a, alice, socket('c1'))
    await b.inboxes.append([item('m1')])
    await notices.first('appended')
    await b.inboxes.append([item('m1')])
    const [, again] = await notices.first('appended', 2)
    t.match(again, { username: alice, epoch: claim.epoch })
  })

  t.test('an id can be used again after its dedupe window, and not before', async t => {
    const { a, pass } = await openWorld(t, { dedupeWindowS: 1 })
    await register(a, alice)
    const first = seqOf((await a.inboxes.append([item('m1')]))[0])
    let again = first
    while (again === first) {
      await pass(100)
      again = seqOf((await a.inboxes.append([item('m1')]))[0])
    }
    t.ok(again - first >= 1_000 * 1024)
    t.ok(again - first <= 5_000 * 1024)
    t.equal(await a.inboxes.countQueued(alice), 2)
    t.match(await a.inboxes.append([item('m1')]), [{ repeated: true, seq: again }])
  })

  t.test('entries of several dedupe windows are separate', async t => {
    const { a, pass } = await openWorld(t, { dedupeWindowS: 1 })
    await register(a, alice)
    for (let round = 0; round < 6; round += 1) {
      const id = `m${round}`
      t.match(await a.inboxes.append([item(id)]), [{ repeated: false }])
      await pass(450)
      t.match(await a.inboxes.append([item(id)]), [{ repeated: true }], `${id} is known half a window later`)
    }
    await pass(2_100)
    t.match(await a.inboxes.append([item('m5')]), [{ repeated: false }])
    t.equal((await readAll(a, await claimed(a, alice, socket('c1')))).at(-1)?.from, bob)
  })
}
