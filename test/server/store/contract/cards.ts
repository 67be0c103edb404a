import type { Test } from 'tap'
import type { Store } from '../../../../src/server/store/store.ts'
import { alice, bob, carol, claimed, type OpenWorld, register, socket } from './world.ts'

const card = (counter: number, ...capabilities: string[]) => ({ text: `card-${counter}`, counter, capabilities })

const named = async (store: Store, capability: string, more: { online?: boolean } = {}): Promise<string[]> =>
  (await store.users.list({ capability, limit: 10, ...more })).users.map(({ username }) => username)

export function cardsContract(t: Test, openWorld: OpenWorld): void {
  t.test('a card can be read on every node, and a newer one replaces it', async t => {
    const { a, b } = await openWorld(t)
    await register(a, alice)
    t.equal(await b.cards.find(alice), null)
    t.equal(await a.cards.publish(alice, card(5)), 'published')
    t.equal(await b.cards.find(alice), 'card-5')
    t.equal(await b.cards.publish(alice, card(5)), 'published', 'a repetition')
    t.equal(await b.cards.publish(alice, card(4)), 'conflict')
    t.equal(await a.cards.find(alice), 'card-5')
    t.equal(await b.cards.publish(alice, card(6)), 'published')
    t.equal(await a.cards.find(alice), 'card-6')
  })

  t.test('users are listed by the capabilities on their current cards', async t => {
    const { a, b } = await openWorld(t)
    await register(a, alice, bob, carol)
    await a.cards.publish(bob, card(1, 'translate', 'code'))
    await a.cards.publish(alice, card(1, 'translate'))
    t.same(await named(b, 'translate'), ['alice', 'bob'])
    t.same(await named(b, 'code'), ['bob'])
    t.same(await named(b, 'cod'), [])
    await b.cards.publish(bob, card(2, 'code'))
    t.same(await named(a, 'translate'), ['alice'])
    await b.cards.publish(alice, null)
    t.same(await named(a, 'translate'), [])
    t.equal(await a.cards.find(alice), null)
  })

  t.test('a listing by capability supports pages, prefixes and the online filter', async t => {
    const { a, b } = await openWorld(t)
    await register(a, alice, bob, carol)
    for (const name of [alice, bob, carol]) await a.cards.publish(name, card(1, 'code'))
    await claimed(a, bob, socket('c1'))
    t.same(await named(b, 'code', { online: true }), ['bob'])
    const page = await b.users.list({ capability: 'code', limit: 2 })
    t.match(page, { users: [{ username: 'alice' }, { username: 'bob' }], cursor: 'bob' })
    t.match(await b.users.list({ capability: 'code', limit: 2, cursor: 'bob' }), {
      users: [{ username: 'carol' }],
      cursor: null,
    })
    t.match((await b.users.list({ capability: 'code', prefix: 'c', limit: 2 })).users, [{ username: 'carol' }])
  })

  t.test('a listing includes cards if the query asks for them', async t => {
    const { a, b } = await openWorld(t)
    await register(a, alice, bob)
    await a.cards.publish(bob, card(1, 'code'))
    const users = async (cards: boolean) => (await b.users.list({ cards, limit: 9 })).users.map(({ card }) => card)
    t.same(await users(true), [undefined, 'card-1'])
    t.same(await users(false), [undefined, undefined])
  })

  t.test('a card is deleted with its user, and does not come back with the name', async t => {
    const { a, b } = await openWorld(t)
    await register(a, alice, bob)
    await a.cards.publish(alice, card(7, 'code'))
    await b.users.delete(alice)
    t.equal(await a.cards.find(alice), null)
    t.same(await named(a, 'code'), [])
    t.equal(await a.cards.publish(alice, card(8, 'code')), 'published', 'but nothing is stored')
    t.equal(await a.cards.find(alice), null)
    await register(a, alice)
    t.same(await named(b, 'code'), [])
    t.equal(await a.cards.publish(alice, card(1, 'code')), 'published', 'counters start again')
    t.same(await named(b, 'code'), ['alice'])
  })
}
