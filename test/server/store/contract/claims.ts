import type { Test } from 'tap'
import {
  alice,
  append,
  carol,
  claimed,
  everything,
  idsOf,
  item,
  Notices,
  type OpenWorld,
  readAll,
  register,
  socket,
} from './world.ts'

export function claimsContract(t: Test, openWorld: OpenWorld): void {
  t.test('a socket on any node takes an inbox over with a higher epoch', async t => {
    const { a, b } = await openWorld(t)
    await register(a, alice)
    const claims = [
      await claimed(a, alice, socket('c1')),
      await claimed(b, alice, socket('c2')),
      await claimed(b, alice, socket('c3')),
      await claimed(a, alice, socket('c4')),
    ]
    const epochs = claims.map(({ epoch }) => epoch)
    t.same(
      epochs,
      [...new Set(epochs)].sort((one, other) => one - other),
    )
    t.ok(epochs.every(Number.isSafeInteger))
    t.ok(Math.abs((epochs[0] ?? 0) / 1024 - Date.now()) < 60_000, 'epochs follow the clock')
    t.match(claims[3], { username: alice, owner: socket('c4') })
  })

  t.test("the previous owner's node gets a notice with the instance of the new owner", async t => {
    const { a, b } = await openWorld(t)
    await register(a, alice)
    const [here, there] = [new Notices(a), new Notices(b)]
    await claimed(a, alice, socket('c1', 'first'))
    const second = await claimed(b, alice, socket('c2', 'second'))
    t.same(await here.first('replaced'), [
      { kind: 'replaced', username: alice, connection: 'c1', epoch: second.epoch, instance: 'second' },
    ])
    t.same(there.of('replaced'), [])
    const third = await claimed(b, alice, socket('c3', 'third'))
    t.same(await there.first('replaced'), [
      { kind: 'replaced', username: alice, connection: 'c2', epoch: third.epoch, instance: 'third' },
    ])
    t.equal(here.of('replaced').length, 1)
  })

  // Evidence: P1
  t.test('a replaced claim has no effect', async t => {
    const { a, b } = await openWorld(t)
    await register(a, alice)
    const [one = 0, two = 0] = await append(a, item('m1'), item('m2'))
    const old = await claimed(a, alice, socket('c1'))
    const now = await claimed(b, alice, socket('c2'))
    t.equal(await a.inboxes.read(old, 0, everything), 'stale')
    t.equal(await a.inboxes.peek(old, 0), 'stale')
    t.equal(await a.inboxes.ack(old, two), 'stale')
    await a.inboxes.release(old)
    t.equal((await a.users.find(alice))?.online, true)
    t.match((await a.users.list({ limit: 9, online: true })).users.length, 1)
    t.same(idsOf(await readAll(b, now)), ['m1', 'm2'])
    t.equal(await b.inboxes.ack(now, one), 'acked')
  })

  t.test('a call is refused unless epoch, connection and node all match the claim', async t => {
    const { a, b } = await openWorld(t)
    await register(a, alice)
    await append(a, item('m1'))
    const claim = await claimed(a, alice, socket('c1'))
    const forged = [
      { ...claim, epoch: claim.epoch + 1 },
      { ...claim, epoch: claim.epoch - 1 },
      { ...claim, owner: socket('c2') },
    ]
    for (const other of forged) {
      t.equal(await a.inboxes.read(other, 0, everything), 'stale')
      t.equal(await a.inboxes.peek(other, 0), 'stale')
      t.equal(await a.inboxes.ack(other, Number.MAX_SAFE_INTEGER), 'stale')
      await a.inboxes.release(other)
    }
    t.equal(await b.inboxes.read(claim, 0, everything), 'stale', 'a connection belongs to its node')
    t.equal(await b.inboxes.peek(claim, 0), 'stale')
    t.equal(await b.inboxes.ack(claim, Number.MAX_SAFE_INTEGER), 'stale')
    await b.inboxes.release(claim)
    t.same(idsOf(await readAll(a, claim)), ['m1'])
  })

  t.test('a released inbox has no owner, and a repeated release does nothing', async t => {
    const { a, b } = await openWorld(t)
    await register(a, alice)
    const claim = await claimed(a, alice, socket('c1'))
    await a.inboxes.release(claim)
    t.equal(await a.inboxes.read(claim, 0, everything), 'stale')
    t.equal(await a.inboxes.peek(claim, 0), 'stale')
    t.equal(await a.inboxes.ack(claim, 1), 'stale')
    t.match(await a.inboxes.append([item('m1')]), [{ queued: true }])
    const notices = new Notices(a)
    const next = await claimed(b, alice, socket('c2'))
    await a.inboxes.release(claim)
    t.same(idsOf(await readAll(b, next)), ['m1'])
    t.ok(next.epoch > claim.epoch)
    t.same(notices.of('replaced'), [], 'no claim was replaced')
  })

  // Evidence: N5
  t.test('of many concurrent claims, the highest epoch holds the inbox and all others are stale', async t => {
    const { a, b } = await openWorld(t)
    await register(a, alice)
    const claims = await Promise.all(
      Array.from({ length: 40 }, (_, index) => claimed(index % 2 ? a : b, alice, socket(`c${index}`))),
    )
    t.equal(new Set(claims.map(({ epoch }) => epoch)).size, 40)
    const highest = Math.max(...claims.map(({ epoch }) => epoch))
    for (const [index, claim] of claims.entries()) {
      const read = await (index % 2 ? a : b).inboxes.read(claim, 0, everything)
      t.equal(read === 'stale', claim.epoch !== highest)
    }
    await Promise.all(claims.map((claim, index) => (index % 2 ? a : b).inboxes.release(claim)))
    t.equal((await a.users.find(alice))?.online, false)
    t.match((await b.users.list({ limit: 9, online: true })).users, [])
  })

  t.test('concurrent claims and releases leave the listing consistent with the claim', async t => {
    const { a, b } = await openWorld(t)
    await register(a, alice)
    for (let round = 0; round < 25; round += 1) {
      const first = await claimed(a, alice, socket(`x${round}`))
      const [, second] = await Promise.all([a.inboxes.release(first), claimed(b, alice, socket(`y${round}`))])
      t.equal((await a.users.list({ limit: 9, online: true })).users.length, 1)
      await b.inboxes.release(second)
      t.equal((await a.users.list({ limit: 9, online: true })).users.length, 0)
    }
  })

  t.test('an append sends a notice to the listening node, and only to that one', async t => {
    const { a, b } = await openWorld(t)
    await register(a, alice, carol)
    const [here, there] = [new Notices(a), new Notices(b)]
    t.match(await a.inboxes.append([item('m0')]), [{ queued: true }])
    const claim = await claimed(a, alice, socket('c1'))
    t.match(await a.inboxes.append([item('m1')]), [{ queued: false }])
    t.match(await b.inboxes.append([item('m2'), item('m3'), item('m2', { to: carol })]), [
      { queued: false },
      { queued: false },
      { queued: true },
    ])
    const hints = await here.first('appended', 3)
    const envelopes = await readAll(a, claim)
    t.same(
      hints.map(({ envelope }) => envelope),
      envelopes.slice(1),
      'a hint contains the same envelope as a read',
    )
    for (const hint of hints) t.match(hint, { username: alice, epoch: claim.epoch })
    t.same(there.all, [])
  })
}
