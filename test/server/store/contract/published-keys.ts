import type { Test } from 'tap'
import { limits } from '../../../../src/protocol/limits.ts'
import { parseUsername } from '../../../../src/protocol/names.ts'
import type { FetchedKeys, OneTimeKemKey, OneTimeKey } from '../../../../src/server/store/store.ts'
import { alice, bob, carol, claimed, Notices, type OpenWorld, register, socket } from './world.ts'

const bundle = (counter: number, text = `bundle-${counter}`) => ({ text, counter })
const oneTime = (first: number, count: number): OneTimeKey[] =>
  Array.from({ length: count }, (_, index) => ({ id: first + index, key: `key-${first + index}` }))
const kem = (first: number, count: number): OneTimeKemKey[] =>
  oneTime(first, count).map(({ id }) => ({ id, key: `kem-${id}`, signature: `signature-${id}` }))

type Outcome = FetchedKeys | string
const oneTimeOf = (outcome: Outcome): number | undefined =>
  typeof outcome === 'string' ? undefined : outcome.oneTimeKey?.id

export function publishedKeysContract(t: Test, openWorld: OpenWorld): void {
  t.test('one-time keys are handed out in order, each once; after the last, only the bundle is returned', async t => {
    const { a, b } = await openWorld(t)
    await register(a, alice, bob)
    const upload = { bundle: bundle(1), oneTimeKeys: oneTime(1, 2), oneTimeKemKeys: kem(7, 1) }
    t.same(await a.keys.publish(alice, upload), { oneTimeKeys: 2, oneTimeKemKeys: 1 })
    t.same(await b.keys.count(alice), { oneTimeKeys: 2, oneTimeKemKeys: 1 })
    t.same(await b.keys.fetch(alice, bob, 'f1'), {
      bundle: 'bundle-1',
      oneTimeKey: { id: 1, key: 'key-1' },
      oneTimeKemKey: { id: 7, key: 'kem-7', signature: 'signature-7' },
    })
    t.same(await a.keys.fetch(alice, bob, 'f2'), { bundle: 'bundle-1', oneTimeKey: { id: 2, key: 'key-2' } })
    t.same(await b.keys.fetch(alice, bob, 'f3'), { bundle: 'bundle-1' })
    t.same(await a.keys.count(alice), { oneTimeKeys: 0, oneTimeKemKeys: 0 })
  })

  t.test('a repeated fetch with the same requester and id gets the same answer for a minute', async t => {
    const { a, b } = await openWorld(t)
    await register(a, alice, bob, carol)
    await a.keys.publish(alice, { bundle: bundle(1), oneTimeKeys: oneTime(1, 5) })
    const first = await a.keys.fetch(alice, bob, 'f1')
    t.same(await b.keys.fetch(alice, bob, 'f1'), first)
    await a.keys.publish(alice, { bundle: bundle(2) })
    t.same(await b.keys.fetch(alice, bob, 'f1'), first)
    t.same(await a.keys.count(alice), { oneTimeKeys: 4, oneTimeKemKeys: 0 })
    t.match(await b.keys.fetch(alice, carol, 'f1'), { bundle: 'bundle-2', oneTimeKey: { id: 2 } })
  })

  t.test(
    '17.15 an upload replaces the pools in one step, and stored answers with the old keys are forgotten',
    async t => {
      const { a, b } = await openWorld(t)
      await register(a, alice, bob)
      await a.keys.publish(alice, { bundle: bundle(1), oneTimeKeys: oneTime(1, 60), oneTimeKemKeys: kem(1, 15) })
      const before = await b.keys.fetch(alice, bob, 'f1')
      t.equal(oneTimeOf(before), 1)
      const conflict = { bundle: bundle(0), oneTimeKeys: oneTime(200, 3), replace: true }
      t.equal(await a.keys.publish(alice, conflict), 'conflict')
      t.same(await b.keys.count(alice), { oneTimeKeys: 59, oneTimeKemKeys: 14 }, 'a refused upload replaces nothing')
      const upload = { bundle: bundle(2), oneTimeKeys: oneTime(101, 3), oneTimeKemKeys: kem(201, 2), replace: true }
      t.same(await b.keys.publish(alice, upload), { oneTimeKeys: 3, oneTimeKemKeys: 2, replaced: true })
      const after = await a.keys.fetch(alice, bob, 'f1')
      t.equal(oneTimeOf(after), 101, 'the same request gets a key of the new pool')
      const again = await a.keys.publish(alice, { replace: true })
      t.match(again, { oneTimeKeys: 0, oneTimeKemKeys: 0, replaced: true, sinceReplacedS: 0 })
      t.same(await b.keys.fetch(alice, bob, 'f2'), { bundle: 'bundle-2' })
    },
  )

  t.test('17.15 a user that lets only some write can fetch its own keys', async t => {
    const { a } = await openWorld(t)
    await register(a, alice, bob)
    await a.keys.publish(alice, { bundle: bundle(1), oneTimeKeys: oneTime(1, 2) })
    await a.privacy.setWriters(alice, 'allowlist')
    t.equal(await a.keys.fetch(alice, bob, 'f1'), 'forbidden')
    t.equal(oneTimeOf(await a.keys.fetch(alice, alice, 'f2')), 1)
  })

  t.test('each one-time key goes to one requester, even with concurrent fetches on two nodes', async t => {
    const { a, b } = await openWorld(t)
    await register(a, alice)
    await a.keys.publish(alice, { bundle: bundle(1), oneTimeKeys: oneTime(1, 60) })
    const outcomes = await Promise.all(
      Array.from({ length: 80 }, (_, index) =>
        (index % 2 ? a : b).keys.fetch(alice, parseUsername(`user-${index % 8}`), `f${index}`),
      ),
    )
    const ids = outcomes.map(oneTimeOf).filter(id => id !== undefined)
    t.equal(ids.length, 60)
    t.equal(new Set(ids).size, 60)
  })

  t.test('an older bundle is a conflict, and nothing of its upload is stored', async t => {
    const { a, b } = await openWorld(t)
    await register(a, alice, bob)
    await a.keys.publish(alice, { bundle: bundle(5) })
    t.equal(await b.keys.publish(alice, { bundle: bundle(4), oneTimeKeys: oneTime(1, 1) }), 'conflict')
    t.same(await a.keys.fetch(alice, bob, 'f1'), { bundle: 'bundle-5' })
    t.same(await a.keys.publish(alice, { bundle: bundle(5, 'same') }), { oneTimeKeys: 0, oneTimeKemKeys: 0 })
    t.same(await b.keys.publish(alice, { bundle: bundle(6) }), { oneTimeKeys: 0, oneTimeKemKeys: 0 })
    t.same(await b.keys.fetch(alice, bob, 'f2'), { bundle: 'bundle-6' })
  })

  t.test('keys beyond the capacity of a pool, and ids that it already contains, are ignored', async t => {
    const { a } = await openWorld(t)
    await register(a, alice, bob)
    const full = { oneTimeKeys: limits.maxOneTimeKeys, oneTimeKemKeys: limits.maxOneTimeKemKeys }
    await a.keys.publish(alice, { bundle: bundle(1), oneTimeKeys: oneTime(1, 90), oneTimeKemKeys: kem(1, 15) })
    const again = await a.keys.publish(alice, { oneTimeKeys: oneTime(1, 90), oneTimeKemKeys: kem(1, 15) })
    t.same(again, { oneTimeKeys: 90, oneTimeKemKeys: 15 })
    t.same(await a.keys.publish(alice, { oneTimeKeys: oneTime(85, 40), oneTimeKemKeys: kem(10, 40) }), full)
    const ids: (number | undefined)[] = []
    for (let index = 0; index <= full.oneTimeKeys; index += 1)
      ids.push(oneTimeOf(await a.keys.fetch(alice, parseUsername(`user-${index}`), 'f')))
    t.same(ids, [...Array.from({ length: 100 }, (_, index) => index + 1), undefined])
  })

  t.test('an id that occurs twice in one upload is stored once', async t => {
    const { a } = await openWorld(t)
    await register(a, alice)
    const twice = { oneTimeKeys: [...oneTime(1, 2), ...oneTime(1, 2)], oneTimeKemKeys: [...kem(1, 1), ...kem(1, 1)] }
    t.same(await a.keys.publish(alice, twice), { oneTimeKeys: 2, oneTimeKemKeys: 1 })
  })

  t.test('a fetch reports no_keys for a user without a bundle, and unknown_user for an unknown user', async t => {
    const { a } = await openWorld(t)
    await register(a, alice)
    t.equal(await a.keys.fetch(alice, bob, 'f1'), 'no_keys')
    await a.keys.publish(alice, { oneTimeKeys: oneTime(1, 1) })
    t.equal(await a.keys.fetch(alice, bob, 'f1'), 'no_keys')
    t.equal(await a.keys.fetch(carol, bob, 'f1'), 'unknown_user')
    t.same(await a.keys.count(alice), { oneTimeKeys: 1, oneTimeKemKeys: 0 }, 'no key was taken')
    t.same(await a.keys.publish(carol, { bundle: bundle(1), oneTimeKeys: oneTime(1, 1) }), {
      oneTimeKeys: 0,
      oneTimeKemKeys: 0,
    })
    t.same(await a.keys.count(carol), { oneTimeKeys: 0, oneTimeKemKeys: 0 })
  })

  t.test('above the limit per target, a fetch returns the bundle without one-time keys', async t => {
    const { a, pass } = await openWorld(t)
    await register(a, alice, bob)
    await a.keys.publish(alice, { bundle: bundle(1) })
    const fetches = Array.from({ length: limits.maxOneTimeFetchesPerTarget }, (_, index) => `f${index}`)
    await Promise.all(fetches.map(id => a.keys.fetch(alice, parseUsername(`user-${id}`), id)))
    await a.keys.publish(alice, { oneTimeKeys: oneTime(1, 3), oneTimeKemKeys: kem(1, 3) })
    t.same(await a.keys.fetch(alice, carol, 'over'), { bundle: 'bundle-1' })
    t.same(await a.keys.count(alice), { oneTimeKeys: 3, oneTimeKemKeys: 3 })
    if (a.kind === 'redis') return t.comment('the window is a minute of Redis; the memory engine shows its end')
    await pass(limits.fetchWindowMs + 1)
    t.match(await a.keys.fetch(alice, carol, 'later'), { oneTimeKey: { id: 1 } })
  })

  // Evidence: L11
  t.test('above the limit per requester and target, a fetch leaves the one-time keys to other requesters', async t => {
    const { a, b, pass } = await openWorld(t)
    await register(a, alice, bob)
    const most = limits.maxOneTimeFetchesPerPair
    await a.keys.publish(alice, { bundle: bundle(1), oneTimeKeys: oneTime(1, most + 5) })
    const fetches = Array.from({ length: most + 3 }, (_, index) => `f${index}`)
    const outcomes = await Promise.all(fetches.map((id, index) => (index % 2 ? a : b).keys.fetch(alice, bob, id)))
    t.equal(outcomes.map(oneTimeOf).filter(id => id !== undefined).length, most)
    t.same(await a.keys.fetch(alice, bob, 'over'), { bundle: 'bundle-1' }, 'never an error')
    t.match(await b.keys.fetch(alice, carol, 'other'), { oneTimeKey: { id: most + 1 } })
    if (a.kind === 'redis') return t.comment('the window is a minute of Redis; the memory engine shows its end')
    await pass(limits.fetchWindowMs + 1)
    t.match(await a.keys.fetch(alice, bob, 'later'), { oneTimeKey: { id: most + 2 } })
  })

  t.test("the node where a user listens gets a notice when the user's one-time keys run low", async t => {
    const { a, b } = await openWorld(t)
    await register(a, alice, bob)
    const [here, there] = [new Notices(a), new Notices(b)]
    const { lowOneTimeKeys, lowOneTimeKemKeys } = limits
    await a.keys.publish(alice, {
      bundle: bundle(1),
      oneTimeKeys: oneTime(1, lowOneTimeKeys + 1),
      oneTimeKemKeys: kem(1, lowOneTimeKemKeys + 5),
    })
    await claimed(a, alice, socket('c1'))
    await b.keys.fetch(alice, bob, 'f1')
    await b.keys.fetch(alice, bob, 'f2')
    t.same(await here.first('keys-low'), [
      {
        kind: 'keys-low',
        username: alice,
        counts: { oneTimeKeys: lowOneTimeKeys - 1, oneTimeKemKeys: lowOneTimeKemKeys + 3 },
      },
    ])
    t.same(there.of('keys-low'), [])
  })
}
