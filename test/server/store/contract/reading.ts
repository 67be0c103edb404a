import type { Test } from 'tap'
import { limits } from '../../../../src/protocol/limits.ts'
import {
  alice,
  append,
  bob,
  carol,
  claimed,
  everything,
  idsOf,
  item,
  type OpenWorld,
  readAll,
  register,
  socket,
} from './world.ts'

export function readingContract(t: Test, openWorld: OpenWorld): void {
  t.test('a read returns envelopes above a sequence number, oldest first, and removes nothing', async t => {
    const { a } = await openWorld(t)
    await register(a, alice)
    const seqs = await append(a, item('m1'), item('m2'), item('m3'))
    const claim = await claimed(a, alice, socket('c1'))
    t.same(idsOf(await a.inboxes.read(claim, 0, everything)), ['m1', 'm2', 'm3'])
    t.same(idsOf(await a.inboxes.read(claim, seqs[0] ?? 0, everything)), ['m2', 'm3'])
    t.same(idsOf(await a.inboxes.read(claim, (seqs[0] ?? 0) - 1, everything)), ['m1', 'm2', 'm3'])
    t.same(idsOf(await a.inboxes.read(claim, seqs[2] ?? 0, everything)), [])
    t.equal(await a.inboxes.countQueued(alice), 3)
  })

  t.test(
    'peek reports whether there are envelopes above a sequence number; concurrent calls get their own results',
    async t => {
      const { a } = await openWorld(t)
      await register(a, alice, bob)
      const ofAlice = await claimed(a, alice, socket('c1'))
      const ofBob = await claimed(a, bob, socket('c2'))
      t.same(await Promise.all([a.inboxes.peek(ofAlice, 0), a.inboxes.peek(ofBob, 0)]), ['none', 'none'])
      const [one = 0, two = 0] = await append(a, item('m1'), item('m2'))
      const peeks = [
        a.inboxes.peek(ofAlice, 0),
        a.inboxes.peek(ofBob, 0),
        a.inboxes.peek(ofAlice, one),
        a.inboxes.peek(ofAlice, two),
      ]
      t.same(await Promise.all(peeks), ['some', 'none', 'some', 'none'])
      await a.inboxes.ack(ofAlice, two)
      t.equal(await a.inboxes.peek(ofAlice, 0), 'none')
    },
  )

  t.test('a read is bounded by items and bytes, but returns at least one envelope if there is one', async t => {
    const { a } = await openWorld(t)
    await register(a, alice)
    const body = 'x'.repeat(100)
    await append(a, ...['m1', 'm2', 'm3', 'm4'].map(id => item(id, { body })))
    const claim = await claimed(a, alice, socket('c1'))
    const read = async (maxItems: number, maxBytes: number) =>
      idsOf(await a.inboxes.read(claim, 0, { maxItems, maxBytes }))
    t.same(await read(2, 1_000), ['m1', 'm2'])
    t.same(await read(9, 300), ['m1', 'm2', 'm3'])
    t.same(await read(9, 299), ['m1', 'm2'])
    t.same(await read(9, 1), ['m1'])
    t.same(await read(1, 0), ['m1'])
  })

  t.test('an inbox larger than one script step is read and trimmed completely', async t => {
    const { a } = await openWorld(t)
    await register(a, alice)
    const ids = Array.from({ length: 1_300 }, (_, index) => `m${index}`)
    for (let from = 0; from < ids.length; from += 100) {
      await append(
        a,
        ...ids.slice(from, from + 100).map(id => item(id, { from: Number(id.slice(1)) % 2 ? bob : carol })),
      )
    }
    const claim = await claimed(a, alice, socket('c1'))
    const envelopes = await readAll(a, claim)
    t.same(idsOf(envelopes), ids)
    const walked: string[] = []
    for (let after = 0; ; ) {
      const page = await a.inboxes.read(claim, after, { maxItems: 50, maxBytes: 1_000_000 })
      if (page === 'stale' || page.length === 0) break
      walked.push(...page.map(({ id }) => id))
      after = page.at(-1)?.seq ?? 0
    }
    t.same(walked, ids)
    await a.inboxes.ack(claim, envelopes[1_199]?.seq ?? 0)
    t.same(idsOf(await readAll(a, claim)), ids.slice(1_200))
    t.equal(await a.inboxes.countQueued(alice), 100)
  })

  t.test('expired envelopes are not read', async t => {
    const { a, pass } = await openWorld(t)
    await register(a, alice)
    await append(a, item('m1', { ttlMs: 20 }), item('m2'), item('m3', { ttlMs: 20 }), item('m4'))
    const claim = await claimed(a, alice, socket('c1'))
    await pass(40)
    t.same(idsOf(await a.inboxes.read(claim, 0, { maxItems: 1, maxBytes: 9_999 })), ['m2'])
    t.same(idsOf(await readAll(a, claim)), ['m2', 'm4'])
    t.equal(await a.inboxes.countQueued(alice), 2)
  })

  t.test('a ttl is limited to the maximum of the deployment', async t => {
    const { a, pass } = await openWorld(t, { messageTtlS: 0.02 })
    await register(a, alice)
    await append(a, item('m1', { ttlMs: 600_000 }))
    await pass(40)
    t.same(await readAll(a, await claimed(a, alice, socket('c1'))), [])
  })

  t.test('the first read finds an envelope behind more than a thousand expired ones', async t => {
    const { a, pass } = await openWorld(t)
    await register(a, alice)
    for (const from of [bob, carol]) {
      for (let index = 0; index < 6; index += 1) {
        await append(a, ...Array.from({ length: 100 }, (_, at) => item(`m${index}-${at}`, { from, ttlMs: 1_000 })))
      }
    }
    await append(a, item('kept'))
    await pass(1_100)
    const claim = await claimed(a, alice, socket('c1'))
    t.same(idsOf(await a.inboxes.read(claim, 0, { maxItems: 10, maxBytes: 9_999 })), ['kept'])
    t.equal(await a.inboxes.countQueued(alice), 1)
  })

  t.test('an acknowledgement removes envelopes up to its number; a repeated or older one changes nothing', async t => {
    const { a } = await openWorld(t)
    await register(a, alice)
    const [one = 0, two = 0, three = 0] = await append(a, item('m1'), item('m2'), item('m3'))
    const claim = await claimed(a, alice, socket('c1'))
    t.equal(await a.inboxes.ack(claim, two), 'acked')
    t.same(idsOf(await readAll(a, claim)), ['m3'])
    t.equal(await a.inboxes.ack(claim, two), 'acked')
    t.equal(await a.inboxes.ack(claim, one), 'acked')
    t.equal(await a.inboxes.ack(claim, 0), 'acked')
    t.same(idsOf(await readAll(a, claim)), ['m3'])
    t.equal(await a.inboxes.ack(claim, three), 'acked')
    t.same(await readAll(a, claim), [])
    t.equal(await a.inboxes.ack(claim, three), 'acked')
    await append(a, item('m4'))
    t.equal(await a.inboxes.ack(claim, three), 'acked')
    t.same(idsOf(await readAll(a, claim)), ['m4'])
    t.equal(await a.inboxes.countQueued(alice), 1)
  })

  t.test('concurrent acknowledgements get their own results', async t => {
    const { a, b } = await openWorld(t)
    await register(a, alice, bob, carol)
    const sent = [item('m1'), item('m2'), item('m1', { to: bob, from: alice }), item('m1', { to: carol })]
    const [one = 0, , other = 0, third = 0] = await append(a, ...sent)
    const old = await claimed(a, bob, socket('c2'))
    const [claim, newer] = [await claimed(a, alice, socket('c1')), await claimed(b, bob, socket('c3'))]
    const last = await claimed(a, carol, socket('c4'))
    t.same(
      await Promise.all([
        a.inboxes.ack(claim, one),
        a.inboxes.ack(old, other),
        a.inboxes.ack(last, third),
        a.inboxes.ack(claim, one),
      ]),
      ['acked', 'stale', 'acked', 'acked'],
    )
    t.same(idsOf(await readAll(a, claim)), ['m2'])
    t.same(idsOf(await readAll(b, newer)), ['m1'])
    t.equal(await a.inboxes.countQueued(carol), 0)
  })

  t.test('queued envelopes are counted on every node', async t => {
    const { a, b } = await openWorld(t)
    await register(a, alice)
    t.equal(await b.inboxes.countQueued(alice), 0)
    const [one = 0] = await append(a, item('m1'), item('m2'))
    t.equal(await b.inboxes.countQueued(alice), 2)
    const outcome = await b.inboxes.claim(alice, socket('c1'))
    t.match(outcome, { queued: 2 })
    if (outcome !== 'conflict') await b.inboxes.ack(outcome.claim, one)
    t.equal(await a.inboxes.countQueued(alice), 1)
  })

  t.test('the reserved number never goes down', async t => {
    const { a, b } = await openWorld(t)
    await register(a, alice)
    t.same(await a.inboxes.readReserved(alice), { upTo: 0 })
    t.same(await a.inboxes.reserve(alice, 0), { upTo: 0 })
    t.same(await a.inboxes.reserve(alice, 100), { upTo: 100 })
    t.same(await b.inboxes.reserve(alice, 50), { upTo: 100 })
    t.same(await b.inboxes.readReserved(alice), { upTo: 100 })
    const raced = await Promise.all([1, 2, 3, 4, 5].map(upTo => (upTo % 2 ? a : b).inboxes.reserve(carol, upTo)))
    for (const [index, { upTo }] of raced.entries()) t.ok(upTo >= index + 1)
    t.same(await a.inboxes.reserve(carol, 0), { upTo: 5 })
  })

  t.test('17.3 without a signature the reserved number rises by a step a call, up to a bound', async t => {
    const { a, b } = await openWorld(t)
    await register(a, alice)
    const step = limits.unsignedStep
    t.same(await a.inboxes.reserve(alice, Number.MAX_SAFE_INTEGER), { upTo: step })
    t.same(await b.inboxes.reserve(alice, Number.MAX_SAFE_INTEGER), { upTo: 2 * step })
    t.same(await b.inboxes.reserve(alice, 2 * step + 5), { upTo: 2 * step + 5 })

    const reservation = { upTo: limits.maxUnsignedSteps - 9, signature: 's'.repeat(86) }
    t.same(await a.inboxes.reserve(alice, reservation.upTo, reservation.signature), {
      upTo: reservation.upTo,
      reservation,
    })
    t.same(await b.inboxes.reserve(alice, Number.MAX_SAFE_INTEGER), { upTo: limits.maxUnsignedSteps, reservation })
    t.same(await b.inboxes.reserve(alice, 7, 'older'.padEnd(86)), { upTo: limits.maxUnsignedSteps, reservation })
    const higher = { upTo: limits.maxSignedSteps, signature: 'h'.repeat(86) }
    t.same((await a.inboxes.reserve(alice, higher.upTo, higher.signature)).reservation, higher)
    t.same(await b.inboxes.readReserved(alice), { upTo: limits.maxUnsignedSteps, reservation: higher })
  })
}
