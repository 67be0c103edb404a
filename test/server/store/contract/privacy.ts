import type { Test } from 'tap'
import { limits } from '../../../../src/protocol/limits.ts'
import { parseUsername } from '../../../../src/protocol/names.ts'
import type { Store } from '../../../../src/server/store/store.ts'
import { alice, bob, carol, item, type OpenWorld, register, statuses, until } from './world.ts'

let ids = 0
/** Returns the status of a send, from bob to alice by default. */
async function tryBob(store: Store, changes: Partial<Parameters<typeof item>[1]> = {}): Promise<string | undefined> {
  ids += 1
  return statuses(await store.inboxes.append([item(`try-${ids}`, changes)]))[0]
}
const fromAlice = { from: alice, to: bob }

export function privacyContract(t: Test, openWorld: OpenWorld): void {
  t.test('anyone may write to a user without settings', async t => {
    const { a, b } = await openWorld(t)
    await register(a, alice, bob)
    t.equal(await a.privacy.readWriters(alice), 'anyone')
    t.match(await b.privacy.listRules(alice, { limit: 10 }), { rules: [], cursor: null })
    t.equal(await tryBob(b), 'stored')
  })

  t.test('a blocked sender is refused on every node at once; other senders are not', async t => {
    const { a, b } = await openWorld(t)
    await register(a, alice, bob, carol)
    t.equal(await a.privacy.setRule(alice, bob, 'blocked'), 'set')
    t.equal(await tryBob(a), 'forbidden')
    t.equal(await tryBob(b), 'forbidden')
    t.equal(await tryBob(b, { from: carol }), 'stored')
    t.equal(await tryBob(b, fromAlice), 'stored', 'the user can still write to the sender that it blocked')
    await b.privacy.setRule(alice, bob, null)
    t.equal(await tryBob(a), 'stored')
  })

  t.test('with an allowlist, only the senders on it may write', async t => {
    const { a, b } = await openWorld(t)
    await register(a, alice, bob, carol)
    await a.privacy.setWriters(alice, 'allowlist')
    await b.privacy.setRule(alice, carol, 'allowed')
    t.equal(await b.privacy.readWriters(alice), 'allowlist')
    t.equal(await tryBob(a), 'forbidden')
    t.equal(await tryBob(b, { from: carol }), 'stored')
    t.equal(await tryBob(a, fromAlice), 'stored')
    t.equal(await tryBob(b), 'forbidden', 'a recipient of the user is not on the list')
    await b.privacy.setWriters(alice, 'anyone')
    t.equal(await tryBob(b), 'stored')
  })

  t.test('contacts are the users it has written to since the setting, and the users it allows', async t => {
    const { a, b } = await openWorld(t)
    await register(a, alice, bob, carol)
    t.equal(await tryBob(b, fromAlice), 'stored', 'before')
    await a.privacy.setWriters(alice, 'contacts')
    t.equal(await tryBob(a), 'forbidden')
    t.equal(await tryBob(a, fromAlice), 'stored')
    t.equal(await tryBob(b), 'stored')
    t.equal(await tryBob(b, { from: carol }), 'forbidden')
    await a.privacy.setRule(alice, carol, 'allowed')
    t.equal(await tryBob(b, { from: carol }), 'stored')
    t.match((await b.privacy.listRules(alice, { limit: 10 })).rules, [
      { username: bob, rule: 'contact' },
      { username: carol, rule: 'allowed' },
    ])
  })

  t.test('a recipient on another node becomes a contact within a second', async t => {
    const { a, b } = await openWorld(t)
    await register(a, alice, bob)
    t.equal(await tryBob(b, fromAlice), 'stored')
    await a.privacy.setWriters(alice, 'contacts')
    const start = performance.now()
    await until(
      async () => (await tryBob(b, fromAlice)) === 'stored' && (await tryBob(b)) === 'stored',
      'bob may reply',
    )
    t.comment(`the other node knows the setting after ${Math.round(performance.now() - start)} ms`)
  })

  t.test('a blocked contact stays blocked when the user writes to it', async t => {
    const { a } = await openWorld(t)
    await register(a, alice, bob)
    await a.privacy.setWriters(alice, 'contacts')
    await tryBob(a, fromAlice)
    await a.privacy.setRule(alice, bob, 'blocked')
    await tryBob(a, fromAlice)
    t.equal(await tryBob(a), 'forbidden')
    await a.privacy.setRule(alice, bob, null)
    t.equal(await tryBob(a), 'forbidden', 'not a contact any more')
    await tryBob(a, fromAlice)
    t.equal(await tryBob(a), 'stored')
  })

  t.test('contacts are deleted when the setting changes; other rules stay', async t => {
    const { a } = await openWorld(t)
    await register(a, alice, bob, carol)
    await a.privacy.setWriters(alice, 'contacts')
    await tryBob(a, fromAlice)
    await a.privacy.setRule(alice, carol, 'blocked')
    await a.privacy.setWriters(alice, 'anyone')
    t.match((await a.privacy.listRules(alice, { limit: 10 })).rules, [{ username: carol, rule: 'blocked' }])
    t.equal(await tryBob(a, { from: carol }), 'forbidden')
    await a.privacy.setWriters(alice, 'contacts')
    t.equal(await tryBob(a), 'forbidden')
  })

  t.test('mail stored before a block is kept, and its repetition gets the same answer', async t => {
    const { a } = await openWorld(t)
    await register(a, alice, bob)
    const first = await a.inboxes.append([item('one')])
    await a.privacy.setRule(alice, bob, 'blocked')
    t.match(await a.inboxes.append([item('one')]), [{ status: 'stored', repeated: true }])
    t.match(first, [{ status: 'stored', repeated: false }])
    t.equal(await a.inboxes.countQueued(alice), 1)
  })

  t.test('a refusal for one recipient of a batch does not affect the others', async t => {
    const { a } = await openWorld(t)
    await register(a, alice, bob, carol)
    await a.privacy.setRule(alice, bob, 'blocked')
    const results = await a.inboxes.append([item('one'), item('two', { to: carol }), item('three')])
    t.same(statuses(results), ['forbidden', 'stored', 'forbidden'])
    t.equal(await a.inboxes.countQueued(alice), 0)
  })

  t.test('a requester that may not write gets no keys', async t => {
    const { a } = await openWorld(t)
    await register(a, alice, bob)
    await a.keys.publish(alice, { bundle: { text: 'bundle', counter: 1 }, oneTimeKeys: [{ id: 1, key: 'key' }] })
    await a.privacy.setWriters(alice, 'allowlist')
    t.equal(await a.keys.fetch(alice, bob, 'r1'), 'forbidden')
    t.match(await a.keys.count(alice), { oneTimeKeys: 1 })
    await a.privacy.setRule(alice, bob, 'allowed')
    t.match(await a.keys.fetch(alice, bob, 'r1'), { bundle: 'bundle', oneTimeKey: { id: 1 } })
  })

  t.test('rules are listed in pages, sorted by name', async t => {
    const { a } = await openWorld(t)
    await register(a, alice)
    const names = Array.from({ length: 7 }, (_, at) => parseUsername(`peer-${at}`))
    for (const name of [...names].reverse()) await a.privacy.setRule(alice, name, 'blocked')
    const first = await a.privacy.listRules(alice, { limit: 4 })
    const second = await a.privacy.listRules(alice, { limit: 4, cursor: first.cursor ?? '' })
    t.same(
      [...first.rules, ...second.rules].map(({ username }) => username),
      names,
    )
    t.equal(second.cursor, null)
  })

  t.test('a full list of rules refuses another one until a rule is removed', async t => {
    const { a } = await openWorld(t)
    await register(a, alice, bob)
    const names = Array.from({ length: limits.maxRules }, (_, at) => parseUsername(`peer-${at}`))
    const outcomes = await Promise.all(names.map(name => a.privacy.setRule(alice, name, 'allowed')))
    t.ok(outcomes.every(outcome => outcome === 'set'))
    t.equal(await a.privacy.setRule(alice, bob, 'blocked'), 'full')
    t.equal(await tryBob(a), 'stored')
    await a.privacy.setRule(alice, parseUsername('peer-0'), null)
    t.equal(await a.privacy.setRule(alice, bob, 'blocked'), 'set')
    t.equal(await tryBob(a), 'forbidden')
  })

  t.test("a user's settings are deleted with it", async t => {
    const { a } = await openWorld(t)
    await register(a, alice, bob)
    await a.privacy.setWriters(alice, 'allowlist')
    await a.privacy.setRule(alice, bob, 'blocked')
    await a.users.delete(alice)
    t.equal(await tryBob(a), 'unknown_user')
    await register(a, alice)
    t.equal(await a.privacy.readWriters(alice), 'anyone')
    t.match((await a.privacy.listRules(alice, { limit: 10 })).rules, [])
    t.equal(await tryBob(a), 'stored')
  })
}
