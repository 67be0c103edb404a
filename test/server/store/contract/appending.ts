import type { Test } from 'tap'
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
  seqOf,
  socket,
  statuses,
} from './world.ts'

export function appendingContract(t: Test, openWorld: OpenWorld): void {
  // Evidence: D8
  t.test('envelopes are stored complete and in the given order', async t => {
    const { a, b } = await openWorld(t)
    await register(a, alice)
    const start = Date.now()
    const seqs = await append(
      a,
      item('m1'),
      item('m2', { kind: 'key_exchange', from: carol }),
      item('m1', { from: dave }),
    )
    seqs.push(...(await append(b, item('m3'))))
    const envelopes = await readAll(b, await claimed(b, alice, socket('c1')))
    t.same(
      envelopes.map(({ seq }) => seq),
      seqs,
    )
    t.same(
      seqs,
      [...new Set(seqs)].sort((one, other) => one - other),
    )
    t.match(envelopes, [
      { id: 'm1', from: bob, kind: 'message', body: 'body-of-m1' },
      { id: 'm2', from: carol, kind: 'key_exchange', body: 'body-of-m2' },
      { id: 'm1', from: dave, kind: 'message', body: 'body-of-m1' },
      { id: 'm3', from: bob, kind: 'message', body: 'body-of-m3' },
    ])
    for (const { sentAt } of envelopes) t.ok(Math.abs(sentAt - start) < 60_000, 'in ms since 1970')
  })

  t.test('each envelope names the preceding one, even if that was trimmed', async t => {
    const { a } = await openWorld(t)
    await register(a, alice)
    const [one = 0, two = 0] = await append(a, item('m1'), item('m2'))
    const claim = await claimed(a, alice, socket('c1'))
    t.same(
      (await readAll(a, claim)).map(({ prev }) => prev),
      [0, one],
    )
    await a.inboxes.ack(claim, two)
    await append(a, item('m3'))
    t.same(
      (await readAll(a, claim)).map(({ prev }) => prev),
      [two],
    )
  })

  // Evidence: T2
  t.test('sequence numbers follow the clock, so that none is used twice after a loss of data', async t => {
    const { a, pass } = await openWorld(t)
    await register(a, alice)
    const [one = 0, two = 0] = await append(a, item('m1'), item('m2'))
    t.equal(two, one + 1)
    await pass(50)
    const [three = 0] = await append(a, item('m3'))
    t.ok(three - one >= 50 * 1024)
    const [sentAt] = (await readAll(a, await claimed(a, alice, socket('c1')))).map(({ sentAt }) => sentAt)
    t.equal(one, (sentAt ?? 0) * 1024)
    t.ok(Number.isSafeInteger(three))
  })

  t.test('each inbox has its own sequence numbers', async t => {
    const { a } = await openWorld(t)
    await register(a, alice, carol)
    await append(a, item('m1'), item('m1', { to: carol }), item('m2'))
    const ofAlice = await readAll(a, await claimed(a, alice, socket('c1')))
    const ofCarol = await readAll(a, await claimed(a, carol, socket('c2')))
    t.same(idsOf(ofAlice), ['m1', 'm2'])
    t.same(idsOf(ofCarol), ['m1'])
    t.equal(ofAlice[1]?.prev, ofAlice[0]?.seq)
    t.equal(ofCarol[0]?.prev, 0)
  })

  t.test('an empty append returns no results', async t => {
    const { a } = await openWorld(t)
    t.same(await a.inboxes.append([]), [])
  })

  // Evidence: D11
  t.test('nothing is stored for an unknown user, nor for a later user of the name', async t => {
    const { a } = await openWorld(t)
    await register(a, carol)
    const results = await a.inboxes.append([item('m1'), item('m2', { to: carol }), item('m3')])
    t.same(statuses(results), ['unknown_user', 'stored', 'unknown_user'])
    await register(a, alice)
    t.equal(await a.inboxes.countQueued(alice), 0)
    t.same(statuses(await a.inboxes.append([item('m1')])), ['stored'])
  })

  t.test('a user can write to itself', async t => {
    const { a } = await openWorld(t)
    await register(a, alice)
    await append(a, item('m1', { from: alice }))
    t.match(await readAll(a, await claimed(a, alice, socket('c1'))), [{ id: 'm1', from: alice }])
  })

  t.test('a large body, and many envelopes at once, are stored', async t => {
    const { a } = await openWorld(t)
    await register(a, alice)
    const body = 'x'.repeat(122_880)
    await append(a, item('large', { body }))
    await append(a, ...Array.from({ length: 99 }, (_, index) => item(`m${index}`)))
    const envelopes = await readAll(a, await claimed(a, alice, socket('c1')))
    t.equal(envelopes.length, 100)
    t.equal(envelopes[0]?.body, body)
  })

  t.test('concurrent appends on two nodes result in one order with an unbroken chain', async t => {
    const { a, b } = await openWorld(t)
    await register(a, alice)
    const sends = Array.from({ length: 200 }, (_, index) => {
      const [store, stream] = index % 2 ? [a, 'one'] : [b, 'two']
      return store.inboxes.append([item(`m${index}`, { stream })])
    })
    const seqs = (await Promise.all(sends)).map(([result]) => seqOf(result))
    t.equal(new Set(seqs).size, 200)
    const envelopes = await readAll(a, await claimed(a, alice, socket('c1')))
    t.same(
      envelopes.map(({ seq }) => seq),
      seqs.toSorted((one, other) => one - other),
    )
    t.same(
      envelopes.map(({ prev }) => prev),
      [0, ...envelopes.slice(0, -1).map(({ seq }) => seq)],
    )
    for (const parity of [0, 1]) {
      const ofStream = envelopes.map(({ id }) => id).filter(id => Number(id.slice(1)) % 2 === parity)
      t.same(
        ofStream,
        ofStream.toSorted((one, other) => Number(one.slice(1)) - Number(other.slice(1))),
      )
    }
  })
}
