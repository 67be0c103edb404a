import type { Test } from 'tap'
import { parseUsername } from '../../../../src/protocol/names.ts'
import type { Store, UserQuery } from '../../../../src/server/store/store.ts'
import { alice, bob, carol, claimed, dave, http, type OpenWorld, register, socket } from './world.ts'

const namesOf = async (store: Store, query: UserQuery): Promise<string[]> =>
  (await store.users.list(query)).users.map(({ username }) => username)

/** Returns all pages of a listing. */
async function pagesOf(store: Store, query: UserQuery): Promise<string[][]> {
  const pages: string[][] = []
  let cursor: string | null | undefined
  do {
    const page = await store.users.list({ ...query, ...(cursor && { cursor }) })
    pages.push(page.users.map(({ username }) => username))
    cursor = page.cursor
  } while (cursor !== null)
  return pages
}

export function listingContract(t: Test, openWorld: OpenWorld): void {
  t.test('users are listed by name, page by page, each once', async t => {
    const { a, b } = await openWorld(t)
    await register(a, dave, bob, alice, carol)
    t.same(await namesOf(b, { limit: 10 }), ['alice', 'bob', 'carol', 'dave'])
    t.same(await pagesOf(b, { limit: 3 }), [['alice', 'bob', 'carol'], ['dave']])
    t.same(await pagesOf(b, { limit: 2 }), [
      ['alice', 'bob'],
      ['carol', 'dave'],
    ])
    t.same(await pagesOf(b, { limit: 4 }), [['alice', 'bob', 'carol', 'dave']])
    t.same(await pagesOf(b, { limit: 1 }), [['alice'], ['bob'], ['carol'], ['dave']])
  })

  t.test('the cursor is the last name of the page, and any name is accepted', async t => {
    const { a } = await openWorld(t)
    await register(a, alice, bob, carol)
    t.equal((await a.users.list({ limit: 2 })).cursor, 'bob')
    t.match(await a.users.list({ limit: 2, cursor: 'carol' }), { users: [], cursor: null })
    t.same(await namesOf(a, { limit: 9, cursor: 'azz' }), ['bob', 'carol'])
    t.same(await namesOf(a, { limit: 9, cursor: 'a', prefix: 'b' }), ['bob'])
    t.same(await namesOf(a, { limit: 9, cursor: 'zzz', prefix: 'b' }), [])
  })

  t.test('a prefix matches literally', async t => {
    const { a } = await openWorld(t)
    const names = ['ab-c', 'ab.c', 'ab0', 'ab_c', 'aba', 'abz', 'abz9', 'ac0', 'zzz'].map(parseUsername)
    await register(a, ...names)
    t.same(await namesOf(a, { limit: 99, prefix: 'ab' }), ['ab-c', 'ab.c', 'ab0', 'ab_c', 'aba', 'abz', 'abz9'])
    t.same(await namesOf(a, { limit: 99, prefix: 'ab.' }), ['ab.c'])
    t.same(await namesOf(a, { limit: 99, prefix: 'abz' }), ['abz', 'abz9'])
    t.same(await namesOf(a, { limit: 99, prefix: 'zzzz' }), [])
    t.same(await namesOf(a, { limit: 99, prefix: 'zzz' }), ['zzz'])
    t.same(await pagesOf(a, { limit: 2, prefix: 'abz' }), [['abz', 'abz9']])
    t.same(await pagesOf(a, { limit: 1, prefix: 'abz' }), [['abz'], ['abz9']], 'the prefix may be a name')
  })

  t.test('a listening user is online on every node until it stops', async t => {
    const { a, b } = await openWorld(t)
    await register(a, alice, bob, carol)
    const claim = await claimed(a, bob, socket('c1'))
    await claimed(a, carol, http('t1'))
    t.equal((await b.users.find(bob))?.online, true)
    t.equal((await b.users.find(carol))?.online, false, 'an HTTP claim does not listen')
    t.same(await namesOf(b, { limit: 9, online: true }), ['bob'])
    t.same(await namesOf(b, { limit: 9, online: false }), ['alice', 'carol'])
    t.match((await b.users.list({ limit: 9 })).users, [{ online: false }, { online: true }, { online: false }])
    await a.inboxes.release(claim)
    t.equal((await b.users.find(bob))?.online, false)
    t.same(await namesOf(b, { limit: 9, online: true }), [])
  })

  t.test('lastSeenAt is updated when a claim begins and when it is released', async t => {
    const { a, b, pass } = await openWorld(t)
    await register(a, alice)
    const seen = async () => (await b.users.find(alice))?.lastSeenAt ?? 0
    const registered = await seen()
    await pass(20)
    const claim = await claimed(a, alice, socket('c1'))
    const listened = await seen()
    t.ok(listened > registered)
    await pass(20)
    await a.inboxes.release(claim)
    const stopped = await seen()
    t.ok(stopped > listened)
    await pass(20)
    await claimed(a, alice, http('t1'))
    const asked = await seen()
    t.ok(asked > stopped)
    await pass(20)
    await claimed(a, alice, http('t1'))
    t.ok((await seen()) > asked)
    t.equal((await b.users.list({ limit: 1 })).users[0]?.lastSeenAt, await seen())
  })

  t.test('18.14 lastSeenAt is updated when a user was seen, but not for an unknown or deleted user', async t => {
    const { a, b, pass } = await openWorld(t)
    await register(a, alice)
    const registered = (await b.users.find(alice))?.lastSeenAt ?? 0
    await pass(20)
    await a.users.noteSeen(alice)
    t.ok(((await b.users.find(alice))?.lastSeenAt ?? 0) > registered)
    await a.users.noteSeen(bob)
    t.equal(await b.users.find(bob), null)
    await a.users.delete(alice)
    await a.users.noteSeen(alice)
    t.equal(await b.users.find(alice), null)
  })

  t.test('a listing finds the few users that are online among many', async t => {
    const { a, b } = await openWorld(t)
    const names = Array.from({ length: 250 }, (_, index) => parseUsername(`user-${String(index).padStart(3, '0')}`))
    await Promise.all(names.map(name => register(a, name)))
    const few = names.filter((_, index) => index % 60 === 7)
    for (const name of few) await claimed(b, name, socket(`c-${name}`))
    t.same((await pagesOf(a, { limit: 99 })).flat(), names)
    t.same(await pagesOf(a, { limit: 3, online: true }), [few.slice(0, 3), few.slice(3)])
    t.same(
      (await pagesOf(a, { limit: 100, online: false })).map(({ length }) => length),
      [100, 100, 45],
    )
    t.same(await pagesOf(a, { limit: 500, prefix: 'user-01' }), [names.slice(10, 20)])
  })
}
