import type { Test } from 'tap'
import { limits } from '../../../../src/protocol/limits.ts'
import { alice, bob, Notices, type OpenWorld, register } from './world.ts'

export function loginsContract(t: Test, openWorld: OpenWorld): void {
  t.test('a login is valid on every node until it expires', async t => {
    const { a, b, pass } = await openWorld(t)
    await register(a, alice)
    const { expiresAt } = await a.logins.create('token', alice, 60_000)
    t.ok(Math.abs(expiresAt - Date.now() - 60_000) < 30_000, 'in ms since 1970')
    t.same(await b.logins.find('token'), { username: alice, expiresAt })
    t.equal(await b.logins.find('another'), null)
    await a.logins.create('short', alice, 20)
    await pass(40)
    t.equal(await b.logins.find('short'), null)
    t.match(await b.logins.find('token'), { username: alice })
  })

  // Evidence: W9, A3
  t.test('a revoked login ends on every node, and each node gets a notice within a second', async t => {
    const { a, b } = await openWorld(t)
    await register(a, alice)
    const [here, there] = [new Notices(a), new Notices(b)]
    await a.logins.create('one', alice, 60_000)
    await a.logins.create('two', alice, 60_000)
    await a.logins.revoke('one')
    const start = performance.now()
    t.equal(await a.logins.find('one'), null)
    t.equal(await b.logins.find('one'), null)
    t.match(await b.logins.find('two'), { username: alice })
    await Promise.all([here.revoked('one'), there.revoked('one')])
    t.comment(`notices after ${Math.round(performance.now() - start)} ms`)
    await b.logins.revoke('two')
    await Promise.all([here.revoked('two'), there.revoked('two')])
    t.equal(await a.logins.find('two'), null)
  })

  t.test('revoking an unknown login, or one twice, changes nothing', async t => {
    const { a, b } = await openWorld(t)
    await register(a, alice)
    await a.logins.revoke('none')
    await a.logins.create('one', alice, 60_000)
    await a.logins.revoke('one')
    await b.logins.revoke('one')
    t.equal(await a.logins.find('one'), null)
  })

  // Evidence: W11
  t.test('above the limit of logins per user, the oldest login is revoked', async t => {
    const { a, b } = await openWorld(t)
    await register(a, alice, bob)
    const notices = new Notices(b)
    await a.logins.create('of-bob', bob, 60_000)
    const tokens = Array.from({ length: limits.maxSessionsPerUser + 2 }, (_, index) => `token-${index}`)
    for (const [index, token] of tokens.entries()) await (index % 2 ? a : b).logins.create(token, alice, 60_000)
    t.equal(await a.logins.find('token-0'), null)
    t.equal(await a.logins.find('token-1'), null)
    for (const token of tokens.slice(2)) t.match(await b.logins.find(token), { username: alice }, token)
    t.match(await b.logins.find('of-bob'), { username: bob })
    await notices.revoked('token-0', 'token-1')
    t.same(new Set(notices.of('revoked').map(({ tokenHash }) => tokenHash)), new Set(['token-0', 'token-1']))
  })

  t.test('a revoked login frees its place', async t => {
    const { a } = await openWorld(t)
    await register(a, alice)
    const tokens = Array.from({ length: limits.maxSessionsPerUser }, (_, index) => `token-${index}`)
    for (const token of tokens) await a.logins.create(token, alice, 60_000)
    await a.logins.revoke('token-7')
    await a.logins.create('one-more', alice, 60_000)
    for (const token of tokens) if (token !== 'token-7') t.ok(await a.logins.find(token), token)
    t.ok(await a.logins.find('one-more'))
  })

  t.test('an unknown or deleted user gets no login', async t => {
    const { a } = await openWorld(t)
    await a.logins.create('one', alice, 60_000)
    t.equal(await a.logins.find('one'), null)
    await register(a, alice)
    await a.users.delete(alice)
    await a.logins.create('two', alice, 60_000)
    t.equal(await a.logins.find('two'), null)
  })

  t.test('a nonce is valid for one attempt of the name that it was issued to', async t => {
    const { a, b, pass } = await openWorld(t)
    await a.logins.putChallenge('n1', alice, 60_000)
    t.equal(await b.logins.takeChallenge('n1', alice), true)
    t.equal(await a.logins.takeChallenge('n1', alice), false)
    await a.logins.putChallenge('n2', alice, 60_000)
    t.equal(await a.logins.takeChallenge('n2', bob), false)
    t.equal(await a.logins.takeChallenge('n2', alice), false, 'used up by the attempt of another name')
    t.equal(await a.logins.takeChallenge('none', alice), false)
    await a.logins.putChallenge('n3', alice, 20)
    await pass(40)
    t.equal(await a.logins.takeChallenge('n3', alice), false)
  })

  t.test('exactly one of many concurrent uses of a nonce succeeds', async t => {
    const { a, b } = await openWorld(t)
    await a.logins.putChallenge('n1', alice, 60_000)
    const taken = await Promise.all(
      Array.from({ length: 50 }, (_, index) => (index % 2 ? a : b).logins.takeChallenge('n1', alice)),
    )
    t.equal(taken.filter(Boolean).length, 1)
  })
}
