import type { Test } from 'tap'
import {
  alice,
  append,
  bob,
  claimed,
  idsOf,
  item,
  Notices,
  type OpenWorld,
  open,
  readAll,
  register,
  socket,
} from './world.ts'

export function deletionContract(t: Test, openWorld: OpenWorld): void {
  t.test('the name of a deleted user stays reserved for its key', async t => {
    const { a, b } = await openWorld(t)
    await a.users.register(alice, 'one', open)
    await b.users.delete(alice)
    t.equal(await a.users.find(alice), null)
    t.match(await a.users.list({ limit: 10 }), { users: [], cursor: null })
    t.equal(await a.users.register(alice, 'two', open), 'taken')
    t.equal(await a.users.register(alice, 'one', { kind: 'closed' }), 'forbidden')
    t.equal(await a.users.register(alice, 'one', open), 'created')
    t.equal((await b.users.find(alice))?.identity, 'one')
    t.same(
      (await b.users.list({ limit: 10 })).users.map(({ username }) => username),
      ['alice'],
    )
  })

  t.test('a deleted or released name cannot be registered again as lost', async t => {
    const { a, b } = await openWorld(t)
    t.equal(await a.users.register(alice, 'one', open, 'loss'), 'created')
    t.equal(await a.users.register(alice, 'one', open, 'loss'), 'same')
    t.equal(await a.users.register(alice, 'two', open, 'loss'), 'taken')
    await b.users.delete(alice)
    t.equal(await a.users.register(alice, 'one', open, 'loss'), 'deleted')
    t.equal(await a.users.register(alice, 'one', { kind: 'closed' }, 'loss'), 'deleted')
    t.equal(await b.admin.releaseName(alice), 'released')
    t.equal(await a.users.register(alice, 'one', open, 'loss'), 'deleted')
    t.equal(await a.users.register(alice, 'two', open), 'created')
  })

  t.test("a deletion removes the user's mail, keys and logins", async t => {
    const { a, b } = await openWorld(t)
    await register(a, alice, bob)
    const notices = new Notices(b)
    await append(a, item('m1'), item('m2'))
    await a.logins.create('token-1', alice, 60_000)
    await a.logins.create('token-2', alice, 60_000)
    await a.logins.create('token-3', bob, 60_000)
    await a.keys.publish(alice, { bundle: { text: 'bundle', counter: 5 }, oneTimeKeys: [{ id: 1, key: 'k' }] })
    await b.users.delete(alice)
    t.same(await a.inboxes.append([item('m3')]), [{ status: 'unknown_user' }])
    t.equal(await a.keys.fetch(alice, bob, 'f1'), 'unknown_user')
    t.equal(await a.logins.find('token-1'), null)
    t.equal(await a.logins.find('token-2'), null)
    t.match(await a.logins.find('token-3'), { username: bob })
    await notices.revoked('token-1', 'token-2')
    t.same(new Set(notices.of('revoked').map(({ tokenHash }) => tokenHash)), new Set(['token-1', 'token-2']))

    await register(a, alice)
    t.equal(await b.inboxes.countQueued(alice), 0)
    t.same(await b.keys.count(alice), { oneTimeKeys: 0, oneTimeKemKeys: 0 })
    t.equal(await b.keys.fetch(alice, bob, 'f2'), 'no_keys')
    t.same(await readAll(b, await claimed(b, alice, socket('c1'))), [])
  })

  t.test('a key fetch does not repeat an answer from before the user was deleted', async t => {
    const { a } = await openWorld(t)
    await register(a, alice, bob)
    await a.keys.publish(alice, { bundle: { text: 'old', counter: 1 }, oneTimeKeys: [{ id: 1, key: 'old' }] })
    await a.keys.fetch(alice, bob, 'f1')
    await a.users.delete(alice)
    await register(a, alice)
    t.equal(await a.keys.fetch(alice, bob, 'f1'), 'no_keys')
    await a.keys.publish(alice, { bundle: { text: 'new', counter: 1 }, oneTimeKeys: [{ id: 1, key: 'new' }] })
    t.same(await a.keys.fetch(alice, bob, 'f1'), { bundle: 'new', oneTimeKey: { id: 1, key: 'new' } })
  })

  t.test("a deletion ends the user's claim, and its node gets a notice", async t => {
    const { a, b } = await openWorld(t)
    await register(a, alice, bob)
    const notices = new Notices(a)
    const claim = await claimed(a, alice, socket('c1'))
    await b.users.delete(alice)
    t.same(await notices.first('deleted'), [{ kind: 'deleted', username: alice }])
    t.same(notices.of('replaced'), [], 'no claim has a higher epoch')
    t.equal(await a.inboxes.read(claim, 0, { maxItems: 1, maxBytes: 1 }), 'stale')
    t.equal(await a.inboxes.ack(claim, 1), 'stale')
    await register(a, alice)
    t.equal((await a.users.find(alice))?.online, false)
    t.equal(await a.inboxes.read(claim, 0, { maxItems: 1, maxBytes: 1 }), 'stale')
  })

  t.test('sequence numbers, epochs and the reserved number continue after a deletion', async t => {
    const { a, b } = await openWorld(t)
    await register(a, alice, bob)
    const [before = 0] = await append(a, item('m1'))
    const { epoch } = await claimed(a, alice, socket('c1'))
    await a.inboxes.reserve(alice, 700)
    await a.users.delete(alice)
    await register(b, alice)
    const [after = 0] = await append(b, item('m1'))
    t.ok(after > before)
    const claim = await claimed(b, alice, socket('c2'))
    t.ok(claim.epoch > epoch)
    t.same(await b.inboxes.reserve(alice, 1), { upTo: 700 })
    t.same(idsOf(await readAll(b, claim)), ['m1'], 'an id from before the deletion is not a repetition')
  })

  t.test('deleting an unknown or deleted user changes nothing', async t => {
    const { a } = await openWorld(t)
    await a.users.delete(alice)
    await register(a, alice)
    await a.users.delete(alice)
    await a.users.delete(alice)
    t.equal(await a.users.find(alice), null)
  })
}
