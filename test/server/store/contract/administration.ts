import type { Test } from 'tap'
import { parseUsername } from '../../../../src/protocol/names.ts'
import {
  alice,
  append,
  bob,
  claimed,
  identityOf,
  item,
  Notices,
  type OpenWorld,
  open,
  register,
  socket,
  statuses,
} from './world.ts'

const invited = (inviteHash: string) => ({ kind: 'invite', inviteHash }) as const

export function administrationContract(t: Test, openWorld: OpenWorld): void {
  t.test('invites are listed until they expire, the next to expire first, with their users', async t => {
    const { a, b, pass } = await openWorld(t)
    await a.users.addInvite('late', 120_000)
    await a.users.addInvite('soon', 60_000)
    await b.users.addInvite('over', 20)
    await a.users.register(alice, 'one', invited('soon'))
    await pass(40)
    const { invites, cursor } = await b.admin.listInvites({ limit: 10 })
    t.match(invites, [
      { id: 'soon', usedBy: alice },
      { id: 'late', usedBy: null },
    ])
    t.equal(invites.length, 2)
    t.equal(cursor, null)
    t.ok(Math.abs((invites[0]?.expiresAt ?? 0) - Date.now() - 60_000) < 30_000, 'in ms since 1970')
  })

  t.test('invites are listed in pages', async t => {
    const { a } = await openWorld(t)
    for (let at = 0; at < 5; at += 1) await a.users.addInvite(`invite-${at}`, 60_000 + at * 1_000)
    const first = await a.admin.listInvites({ limit: 3 })
    const second = await a.admin.listInvites({ limit: 3, cursor: first.cursor ?? '' })
    t.same(
      [...first.invites, ...second.invites].map(({ id }) => id),
      [0, 1, 2, 3, 4].map(at => `invite-${at}`),
    )
    t.equal(second.cursor, null)
  })

  t.test('a revoked invite does not allow a registration', async t => {
    const { a, b } = await openWorld(t)
    await a.users.addInvite('hash', 60_000)
    t.equal(await b.admin.revokeInvite('hash'), true)
    t.equal(await b.admin.revokeInvite('hash'), false)
    t.equal(await a.users.register(alice, 'one', invited('hash')), 'forbidden')
    t.same((await a.admin.listInvites({ limit: 10 })).invites, [])
  })

  t.test('a blocked user gets no login and no mail, and its name cannot be registered again', async t => {
    const { a, b } = await openWorld(t)
    await register(a, alice, bob)
    await append(a, item('before'))
    t.equal(await a.admin.block(alice), true)
    await b.logins.create('token', alice, 60_000)
    t.equal(await b.logins.find('token'), null)
    t.match(await b.users.find(alice), { blocked: true })
    t.equal(await b.users.register(alice, identityOf(alice), open), 'blocked')
    t.equal(await b.users.register(alice, 'another key', open), 'taken')
    t.same(statuses(await b.inboxes.append([item('meanwhile')])), ['forbidden'])
    t.equal(await b.keys.fetch(alice, bob, 'r1'), 'forbidden')
    t.equal(await b.inboxes.countQueued(alice), 1, 'accepted mail stays')
    t.equal(await b.admin.unblock(alice), true)
    t.equal(await a.users.register(alice, identityOf(alice), open), 'same')
    await a.logins.create('token', alice, 60_000)
    t.match(await a.logins.find('token'), { username: alice })
    t.same(statuses(await a.inboxes.append([item('after')])), ['stored'])
  })

  t.test('a block outlives the deletion of the user and the release of its name', async t => {
    const { a } = await openWorld(t)
    await register(a, alice)
    await a.admin.block(alice)
    await a.users.delete(alice)
    t.equal(await a.users.register(alice, identityOf(alice), open), 'blocked')
    t.equal(await a.admin.releaseName(alice), 'released')
    t.equal(await a.users.register(alice, 'another key', open), 'blocked')
    t.equal(await a.admin.unblock(alice), true)
    t.equal(await a.users.register(alice, 'another key', open), 'created')
  })

  t.test("a user's settings apply again after a block ends", async t => {
    const { a } = await openWorld(t)
    await register(a, alice, bob)
    await a.privacy.setWriters(alice, 'allowlist')
    await a.admin.block(alice)
    await a.privacy.setRule(alice, bob, 'allowed')
    t.same(statuses(await a.inboxes.append([item('one')])), ['forbidden'])
    await a.admin.unblock(alice)
    t.same(statuses(await a.inboxes.append([item('one')])), ['stored'])
    await a.privacy.setRule(alice, bob, null)
    t.same(statuses(await a.inboxes.append([item('two')])), ['forbidden'])
  })

  t.test('a name that was never registered cannot be blocked', async t => {
    const { a } = await openWorld(t)
    t.equal(await a.admin.block(alice), false)
    t.equal(await a.admin.unblock(alice), false)
    t.equal(await a.users.register(alice, 'one', open), 'created')
  })

  t.test("a released name is free for any key, without the previous user's data", async t => {
    const { a, b } = await openWorld(t)
    await register(a, alice, bob)
    const [seq = 0] = await append(a, item('one'))
    await a.inboxes.reserve(alice, 7)
    t.equal(await a.admin.releaseName(alice), 'live')
    await a.users.delete(alice)
    t.equal(await b.users.register(alice, 'another key', open), 'taken')
    t.equal(await b.admin.releaseName(alice), 'released')
    t.equal(await b.admin.releaseName(alice), 'unknown')
    t.equal(await b.admin.findAccount(alice), null)
    t.equal(await a.users.register(alice, 'another key', open), 'created')
    t.same(await a.inboxes.readReserved(alice), { upTo: 0 })
    t.equal(await a.inboxes.countQueued(alice), 0)
    const [next = 0] = await append(b, item('one'))
    t.ok(next > seq, 'no sequence number is used twice')
  })

  t.test('an account shows count, size and age of the queued envelopes, but no body', async t => {
    const { a, b } = await openWorld(t)
    await register(a, alice, bob)
    t.equal(await b.admin.findAccount(parseUsername('nobody')), null)
    t.match(await b.admin.findAccount(alice), {
      username: alice,
      identity: identityOf(alice),
      online: false,
      blocked: false,
      deleted: false,
      writers: 'anyone',
      queue: { messages: 0, bytes: 0, oldestAt: null },
    })
    await append(a, item('one', { body: 'x'.repeat(10) }), item('two', { body: 'y'.repeat(5) }))
    await claimed(a, alice, socket('c1'))
    await a.privacy.setWriters(alice, 'contacts')
    const account = await b.admin.findAccount(alice)
    t.match(account, { online: true, writers: 'contacts', queue: { messages: 2, bytes: 15 } })
    t.ok(Math.abs((account?.queue.oldestAt ?? 0) - Date.now()) < 60_000)
    t.notMatch(JSON.stringify(account), /xxxx|yyyy/)
    await a.admin.block(alice)
    await a.users.delete(alice)
    t.match(await b.admin.findAccount(alice), { blocked: true, deleted: true, queue: { messages: 0 } })
  })

  t.test('logins are listed in the order of their creation, until they end', async t => {
    const { a, b, pass } = await openWorld(t)
    await register(a, alice)
    t.same(await a.logins.list(alice), [])
    for (const [token, ttlMs] of [
      ['one', 60_000],
      ['short', 30],
      ['two', 50_000],
    ] as const) {
      await a.logins.create(token, alice, ttlMs)
      await pass(2)
    }
    await pass(60)
    const logins = await b.logins.list(alice)
    t.same(
      logins.map(({ tokenHash }) => tokenHash),
      ['one', 'two'],
    )
    const [first] = logins
    t.ok(Math.abs((first?.expiresAt ?? 0) - (first?.createdAt ?? 0) - 60_000) < 1_000, 'both in ms since 1970')
    await b.logins.revoke('one')
    t.equal((await a.logins.list(alice)).length, 1)
  })

  t.test('nodes are listed with the number of their claims', async t => {
    const { a, b } = await openWorld(t)
    await register(a, alice)
    await claimed(b, alice, socket('c1'))
    const nodes = await a.admin.listNodes()
    t.same(new Set(nodes.map(({ node }) => node)), new Set([a.nodeId, b.nodeId]))
    t.match(
      nodes.find(({ node }) => node === b.nodeId),
      { listening: 1 },
    )
  })

  t.test('a drain request on any node reaches the node that it names, and no other', async t => {
    const { a, b } = await openWorld(t)
    const [here, there] = [new Notices(a), new Notices(b)]
    t.equal(await a.admin.drain('no-such-node'), false)
    t.equal(await a.admin.drain(b.nodeId), true)
    await there.first('drain')
    t.equal(here.of('drain').length, 0)
    await a.admin.drain(a.nodeId)
    await here.first('drain')
  })
}
