import type { Test } from 'tap'
import { limits } from '../../../../src/protocol/limits.ts'
import {
  alice,
  append,
  bob,
  carol,
  claimed,
  dave,
  everything,
  http,
  idsOf,
  item,
  type OpenWorld,
  readAll,
  register,
  socket,
} from './world.ts'

export function nodesContract(t: Test, openWorld: OpenWorld): void {
  t.test('each process has its own id, and all report the same constant generation', async t => {
    const { a, b, open } = await openWorld(t)
    const c = await open()
    t.equal(new Set([a.nodeId, b.nodeId, c.nodeId]).size, 3)
    t.ok(a.generation().length > 0)
    t.equal(b.generation(), a.generation())
    const before = a.generation()
    await register(a, alice)
    await append(a, item('m1'))
    t.equal(c.generation(), before)
    t.equal(a.generation(), before)
    t.equal((await open()).generation(), before)
  })

  t.test('two deployments have different generations', async t => {
    const [one, other] = [await openWorld(t), await openWorld(t)]
    t.not(one.a.generation(), other.a.generation())
  })

  t.test('a store is ready until it is closed', async t => {
    const { open } = await openWorld(t)
    const store = await open()
    t.equal(store.isReady(), true)
    await store.close()
    t.equal(store.isReady(), false)
  })

  t.test('a renewal reports whether the lease had lapsed, and makes a node in doubt ready again', async t => {
    const { a, pass } = await openWorld(t)
    t.equal(await a.nodes.renewLease(), 'kept')
    a.nodes.doubtLease()
    t.equal(a.isReady(), false)
    t.equal(await a.nodes.renewLease(), 'kept')
    t.equal(a.isReady(), true)
    await pass(limits.leaseMs + 100)
    t.equal(await a.nodes.renewLease(), 'lapsed')
    t.equal(await a.nodes.renewLease(), 'kept')
    t.equal(a.isReady(), true)
  })

  t.test(
    'a node that does not renew its lease is dead: its users are offline, its claims free, its indexes cleaned up',
    async t => {
      const { a, b, open, pass } = await openWorld(t)
      const third = await open()
      await register(a, alice, bob, carol, dave)
      const untouched = await claimed(b, dave, socket('c0'))
      const dead = await claimed(b, alice, socket('c1'))
      const alive = await claimed(third, bob, socket('c2'))
      await claimed(b, carol, http('t1', 60_000))
      await append(a, item('m1'))
      t.match(await a.inboxes.append([item('m2')]), [{ queued: false }])
      // `b` stops renewing. The other nodes treat it as dead after they have renewed for a full lease themselves.
      for (let waitedMs = 0; waitedMs <= limits.leaseMs + 1_000; waitedMs += 1_000) {
        await pass(1_000)
        await Promise.all([a.nodes.renewLease(), third.nodes.renewLease()])
      }
      t.equal((await a.users.find(alice))?.online, false)
      t.equal((await a.users.find(bob))?.online, true)
      t.same(
        (await a.users.list({ limit: 9, online: true })).users.map(({ username }) => username),
        ['bob'],
      )
      t.match(await a.inboxes.append([item('m3')]), [{ queued: true }])
      t.equal(await a.inboxes.claim(carol, http('t2')), 'conflict', 'an HTTP claim does not belong to a node')

      const held = await claimed(a, alice, http('t1'))
      t.ok(held.epoch > dead.epoch, 'the claim of a dead node is free')
      t.equal(await b.inboxes.read(dead, 0, everything), 'stale')
      t.same(idsOf(await readAll(a, held)), ['m1', 'm2', 'm3'])
      await a.inboxes.release(held)

      await Promise.all([a.nodes.cleanUpDead(), third.nodes.cleanUpDead(), a.nodes.cleanUpDead()])
      t.same(await third.inboxes.read(alive, 0, everything), [], 'live nodes keep their claims')
      t.equal((await third.users.find(bob))?.online, true)
      t.same(
        (await third.users.list({ limit: 9, online: true })).users.map(({ username }) => username),
        ['bob'],
      )
      t.equal(await b.inboxes.read(untouched, 0, everything), 'stale', 'the cleanup released the claim')
      t.ok((await claimed(a, dave, socket('c4'))).epoch > untouched.epoch)
      t.equal(await b.inboxes.ack(dead, Number.MAX_SAFE_INTEGER), 'stale')
      t.equal(await a.inboxes.countQueued(alice), 3)

      await b.nodes.renewLease()
      const back = await claimed(b, alice, socket('c3'))
      t.ok(back.epoch > held.epoch, 'a node that comes back can claim again')
      t.equal((await b.users.find(alice))?.online, true)
      await a.nodes.renewLease()
      t.equal((await a.users.find(alice))?.online, true)
    },
  )
}
