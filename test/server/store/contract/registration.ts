import type { Test } from 'tap'
import { parseUsername } from '../../../../src/protocol/names.ts'
import { alice, bob, identityOf, type OpenWorld, open } from './world.ts'

const closed = { kind: 'closed' } as const
const invited = (inviteHash?: string) => ({ kind: 'invite', inviteHash }) as const

export function registrationContract(t: Test, openWorld: OpenWorld): void {
  t.test('exactly one of a thousand concurrent registrations of one name on two nodes succeeds', async t => {
    const { a, b } = await openWorld(t)
    const identities = Array.from({ length: 1_000 }, (_, index) => `identity-${index}`)
    const outcomes = await Promise.all(
      identities.map((identity, index) => (index % 2 ? a : b).users.register(alice, identity, open)),
    )
    const winners = identities.filter((_, index) => outcomes[index] === 'created')
    t.equal(winners.length, 1)
    t.equal(outcomes.filter(outcome => outcome === 'taken').length, 999)
    t.equal((await a.users.find(alice))?.identity, winners[0])
    t.equal((await b.users.find(alice))?.identity, winners[0])
  })

  t.test('registering a name again with the same key returns the same user, whatever the rule', async t => {
    const { a, b } = await openWorld(t)
    t.equal(await a.users.register(alice, 'one', open), 'created')
    const before = await a.users.find(alice)
    t.equal(await b.users.register(alice, 'one', open), 'same')
    t.equal(await b.users.register(alice, 'one', closed), 'same')
    t.equal(await b.users.register(alice, 'one', invited()), 'same')
    t.equal(await b.users.register(alice, 'two', open), 'taken')
    t.equal(await b.users.register(alice, 'two', closed), 'taken')
    t.same(await b.users.find(alice), before)
  })

  t.test('a new user is visible on every node at once, with its registration time', async t => {
    const { a, b } = await openWorld(t)
    t.equal(await b.users.find(alice), null)
    await a.users.register(alice, 'one', open)
    const user = await b.users.find(alice)
    t.match(user, { username: alice, identity: 'one', online: false })
    t.equal(user?.lastSeenAt, user?.registeredAt)
    t.ok(Math.abs((user?.registeredAt ?? 0) - Date.now()) < 60_000, 'in ms since 1970')
    t.equal(await b.users.find(bob), null)
  })

  t.test('a free name is forbidden if registration is closed', async t => {
    const { a } = await openWorld(t)
    t.equal(await a.users.register(alice, 'one', closed), 'forbidden')
    t.equal(await a.users.find(alice), null)
    t.match(await a.users.list({ limit: 10 }), { users: [], cursor: null })
  })

  // Evidence: L9, API6
  t.test('an invite allows one user to register', async t => {
    const { a, b } = await openWorld(t)
    await a.users.addInvite('hash', 60_000)
    t.equal(await b.users.register(alice, 'one', invited('another')), 'forbidden')
    t.equal(await b.users.register(alice, 'one', invited()), 'forbidden')
    t.equal(await b.users.register(alice, 'one', invited('hash')), 'created')
    t.equal(await a.users.register(bob, 'two', invited('hash')), 'forbidden')
    t.equal(await a.users.find(bob), null)
  })

  t.test('exactly one of many concurrent registrations with one invite succeeds', async t => {
    const { a, b } = await openWorld(t)
    await a.users.addInvite('hash', 60_000)
    const names = Array.from({ length: 50 }, (_, index) => parseUsername(`user-${index}`))
    const outcomes = await Promise.all(
      names.map((name, index) => (index % 2 ? a : b).users.register(name, identityOf(name), invited('hash'))),
    )
    t.equal(outcomes.filter(outcome => outcome === 'created').length, 1)
    t.equal(outcomes.filter(outcome => outcome === 'forbidden').length, 49)
    t.equal((await a.users.list({ limit: 100 })).users.length, 1)
  })

  t.test('a registration that needs no invite, or fails, does not use it up', async t => {
    const { a } = await openWorld(t)
    await a.users.register(alice, 'one', open)
    await a.users.addInvite('hash', 60_000)
    t.equal(await a.users.register(alice, 'one', invited('hash')), 'same')
    t.equal(await a.users.register(alice, 'two', invited('hash')), 'taken')
    t.equal(await a.users.register(bob, 'two', invited('hash')), 'created')
  })

  t.test('an invite expires', async t => {
    const { a, pass } = await openWorld(t)
    await a.users.addInvite('hash', 20)
    await pass(40)
    t.equal(await a.users.register(alice, 'one', invited('hash')), 'forbidden')
  })
}
