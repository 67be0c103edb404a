import type { Test } from 'tap'
import {
  alice,
  append,
  claimed,
  everything,
  http,
  idsOf,
  item,
  Notices,
  type OpenWorld,
  readAll,
  register,
  socket,
} from './world.ts'

export function httpClaimsContract(t: Test, openWorld: OpenWorld): void {
  t.test('an HTTP claim keeps its epoch on any node', async t => {
    const { a, b } = await openWorld(t)
    await register(a, alice)
    const [one = 0] = await append(a, item('m1'), item('m2'))
    const first = await claimed(a, alice, http('t1'))
    const again = await claimed(b, alice, http('t1'))
    t.equal(again.epoch, first.epoch)
    t.same(idsOf(await a.inboxes.read(first, 0, everything)), ['m1', 'm2'])
    t.equal(await b.inboxes.ack(again, one), 'acked')
    t.same(idsOf(await b.inboxes.read(again, 0, everything)), ['m2'])
  })

  t.test('an HTTP claim does not replace another claim', async t => {
    const { a, b } = await openWorld(t)
    await register(a, alice)
    const claim = await claimed(a, alice, socket('c1'))
    t.equal(await a.inboxes.claim(alice, http('t1')), 'conflict')
    t.equal(await b.inboxes.claim(alice, http('t1')), 'conflict')
    await a.inboxes.release(claim)
    const held = await claimed(b, alice, http('t1'))
    t.equal(await a.inboxes.claim(alice, http('t2')), 'conflict')
    t.same(await b.inboxes.read(held, 0, everything), [])
    await a.inboxes.release(held)
    await claimed(a, alice, http('t2'))
    t.equal(await b.inboxes.read(held, 0, everything), 'stale')
  })

  t.test('a socket replaces an HTTP claim, whose node gets a notice', async t => {
    const { a, b } = await openWorld(t)
    await register(a, alice)
    const notices = new Notices(a)
    const held = await claimed(a, alice, http('t1'))
    const claim = await claimed(b, alice, socket('c1', 'winner'))
    t.ok(claim.epoch > held.epoch)
    t.same(await notices.first('replaced'), [
      { kind: 'replaced', username: alice, connection: 't1', epoch: claim.epoch, instance: 'winner' },
    ])
    t.equal(await a.inboxes.read(held, 0, everything), 'stale')
    t.equal(await a.inboxes.ack(held, 0), 'stale')
    await a.inboxes.release(held)
    t.same(await b.inboxes.read(claim, 0, everything), [])
    t.equal(await a.inboxes.claim(alice, http('t1')), 'conflict')
  })

  t.test('an HTTP claim can acknowledge only envelopes that were returned to it', async t => {
    const { a, b } = await openWorld(t)
    await register(a, alice)
    const [one = 0, two = 0, three = 0] = await append(a, item('m1'), item('m2'), item('m3'))
    const held = await claimed(a, alice, http('t1'))
    t.equal(await a.inboxes.ack(held, one), 'bad_ack')
    await a.inboxes.read(held, 0, { maxItems: 2, maxBytes: 9_999 })
    t.equal(await a.inboxes.ack(held, three), 'bad_ack')
    t.equal(await b.inboxes.ack(held, two + 1), 'bad_ack')
    t.equal(await a.inboxes.countQueued(alice), 3, 'a refused acknowledgement changes nothing')
    t.equal(await b.inboxes.ack(held, one), 'acked')
    await a.inboxes.read(held, three, everything)
    t.equal(await b.inboxes.ack(held, two), 'acked', 'an empty read does not lower what was returned')
    t.equal(await b.inboxes.ack(held, two), 'acked')
    t.same(idsOf(await readAll(b, held)), ['m3'])
    t.equal(await b.inboxes.ack(held, three), 'acked')
  })

  t.test('an HTTP claim cannot acknowledge envelopes that were returned only to the previous claim', async t => {
    const { a } = await openWorld(t)
    await register(a, alice)
    const [one = 0] = await append(a, item('m1'))
    const held = await claimed(a, alice, http('t1'))
    await readAll(a, held)
    await a.inboxes.release(held)
    const next = await claimed(a, alice, http('t2'))
    t.equal(await a.inboxes.ack(next, one), 'bad_ack')
    const sock = await claimed(a, alice, socket('c1'))
    t.equal(await a.inboxes.ack(sock, one), 'acked', 'for a socket, the node itself tracks what it pushed')
  })

  t.test('an HTTP claim expires, and each claim or read extends it', async t => {
    const { a, b, pass } = await openWorld(t)
    await register(a, alice)
    const held = await claimed(a, alice, http('t1', 600))
    await pass(400)
    await a.inboxes.read(held, 0, everything)
    await pass(400)
    t.equal(await b.inboxes.claim(alice, http('t2', 600)), 'conflict', 'a read extended it')
    await claimed(b, alice, http('t1', 600))
    await pass(400)
    t.equal(await b.inboxes.claim(alice, http('t2', 600)), 'conflict', 'a claim extended it')
    t.match(await a.inboxes.append([item('m1')]), [{ queued: false }])
    await pass(300)
    t.match(await a.inboxes.append([item('m2')]), [{ queued: true }])
    const next = await claimed(b, alice, http('t2'))
    t.ok(next.epoch > held.epoch)
    t.equal(await a.inboxes.read(held, 0, everything), 'stale')
  })

  t.test('an HTTP owner whose claim expired gets a new epoch', async t => {
    const { a, pass } = await openWorld(t)
    await register(a, alice)
    const [one = 0] = await append(a, item('m1'))
    const held = await claimed(a, alice, http('t1', 20))
    await readAll(a, held)
    await pass(40)
    const next = await claimed(a, alice, http('t1'))
    t.ok(next.epoch > held.epoch)
    t.equal(await a.inboxes.ack(next, one), 'bad_ack')
    t.equal(await a.inboxes.ack(held, one), 'stale')
  })

  t.test('hints go to the node where the HTTP claim was last used', async t => {
    const { a, b } = await openWorld(t)
    await register(a, alice)
    const [here, there] = [new Notices(a), new Notices(b)]
    const held = await claimed(a, alice, http('t1'))
    await a.inboxes.append([item('m1')])
    await here.first('appended')
    await claimed(b, alice, http('t1'))
    await a.inboxes.append([item('m2')])
    t.match(await there.first('appended'), [{ username: alice, epoch: held.epoch, envelope: { id: 'm2' } }])
    t.equal(here.of('appended').length, 1)
  })
}
