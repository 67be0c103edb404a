import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { limits } from '../../../../src/protocol/limits.ts'
import { parseUsername, type Username } from '../../../../src/protocol/names.ts'
import { openRedisStore } from '../../../../src/server/store/redis/redis-store.ts'
import { StorageBudgetError, type StorageLevel } from '../../../../src/server/store/storage.ts'
import { type AppendItem, type Store, StoreUnavailableError } from '../../../../src/server/store/store.ts'
import { startRedis } from '../../../../tools/servers/redis.ts'
import { startRedisCluster } from '../../../../tools/servers/redis-cluster.ts'
import { claimed, contractOptions, item, open, readAll, socket, until, type WorldOptions } from '../contract/world.ts'

const redis = await startRedis(t, { config: { databases: '100' } })
const cluster = await startRedisCluster(t)
let database = 0

/** Two nodes on a Redis of their own, and on a Cluster. */
const places = {
  'one Redis': () => ({ url: `${redis.url}/${database++}` }),
  'a Cluster': async () => {
    await Promise.all(cluster.servers.map(({ cli }) => cli('FLUSHALL')))
    return { url: cluster.url }
  },
}

async function openPair(t: Test, url: string, changes: WorldOptions): Promise<[Store, Store]> {
  const openOne = async () => {
    const store = await openRedisStore({ ...contractOptions, ...changes, nodeId: randomUUID() }, { url })
    t.teardown(() => store.close())
    return store
  }
  return [await openOne(), await openOne()]
}

const names = (prefix: string, count: number): Username[] =>
  Array.from({ length: count }, (_none, at) => parseUsername(`${prefix}-${at}`))

async function register(store: Store, usernames: readonly Username[], address: string): Promise<void> {
  for (const username of usernames) await store.users.register(username, `key-${username}`, open, 'deletion', address)
}

let ids = 0
const mail = (from: Username, to: Username, chars: number, changes: Partial<AppendItem> = {}): AppendItem =>
  item(`m${ids++}`, { stream: `s-${from}`, from, to, body: 'x'.repeat(chars), ...changes })

/** Sends until a send is refused, round-robin over the recipients and nodes. Returns the number of stored messages. */
async function fill(stores: readonly Store[], from: Username, to: readonly Username[], chars: number): Promise<number> {
  for (let at = 0; at < 1_000; at += 1) {
    const [store, peer] = [stores[at % stores.length], to[at % to.length]]
    if (!store || !peer) break
    const [result] = await store.inboxes.append([mail(from, peer, chars)])
    if (result?.status !== 'stored') return at
  }
  throw new Error('no send was refused')
}

const statusOf = async (store: Store, one: AppendItem) => (await store.inboxes.append([one]))[0]?.status
const accepts = (store: Store, from: Username, to: Username, chars: number) =>
  until(async () => (await statusOf(store, mail(from, to, chars))) === 'stored', `${from} has room again`)

for (const [place, at] of Object.entries(places)) {
  t.test(`17.6 on ${place}, the mail of a sender has one budget over all inboxes and nodes`, async t => {
    const { url } = await at()
    const stores = await openPair(t, url, { senderMaxBytes: 200_000, messageTtlS: 3_600 })
    const [a, b] = stores
    const [hog, other, ...peers] = names('u', 12)
    if (!hog || !other) return
    await register(a, [hog], '10.0.0.1')
    await register(a, [other, ...peers], '10.0.0.2')

    const stored = await fill(stores, hog, peers, 5_000)
    t.ok(stored >= 30 && stored <= 50, `${stored} of 37 messages fit, give or take what a node does not compare`)
    t.same(await statusOf(a, mail(other, peers[0] as Username, 5_000)), 'stored', 'others have their own budget')

    const [first, second, third] = peers as [Username, Username, Username]
    const claim = await claimed(b, first, socket('one'))
    const envelopes = await readAll(b, claim)
    await b.inboxes.ack(claim, envelopes.at(-1)?.seq ?? 0)
    await accepts(a, hog, second, 5_000)
    await fill(stores, hog, peers.slice(2), 5_000)
    t.comment('a partial acknowledgement frees its part')
    const part = await claimed(b, second, socket('two'))
    await b.inboxes.ack(part, (await readAll(b, part))[1]?.seq ?? 0)
    await accepts(a, hog, first, 5_000)
    await fill(stores, hog, peers.slice(3), 5_000)
    t.comment('a deletion frees the mail of the inbox')
    await b.users.delete(third)
    await accepts(a, hog, first, 5_000)
  })

  t.test(`17.6 on ${place}, expired mail frees the budget, whether a sweep or a read removes it`, async t => {
    const { url } = await at()
    const stores = await openPair(t, url, { senderMaxBytes: 60_000 })
    const [a] = stores
    const [hog, peer, reader] = names('e', 3) as [Username, Username, Username]
    await register(a, [hog, peer, reader], '10.0.0.1')
    for (const to of [peer, reader]) {
      for (let sent = 0; sent < 9; sent += 1) await a.inboxes.append([mail(hog, to, 5_000, { ttlMs: 400 })])
      t.equal(await statusOf(a, mail(hog, to, 30_000)), 'no_room')
      await delay(500)
      if (to === peer) await a.sweep()
      else await readAll(a, await claimed(a, to, socket('reads')))
      await accepts(a, hog, to, 30_000)
      const claim = await claimed(a, to, socket('empties'))
      await a.inboxes.ack(claim, (await readAll(a, claim)).at(-1)?.seq ?? 0)
      await accepts(a, hog, to, 1)
    }
  })

  t.test(`17.6 on ${place}, the users of one address share a budget; others do not notice`, async t => {
    const { url } = await at()
    const stores = await openPair(t, url, { addressMaxBytes: 300_000 })
    const [a] = stores
    const hogs = names('hog', 6)
    const [good, peer] = names('good', 2) as [Username, Username]
    await register(a, hogs, '10.0.0.1')
    await register(a, [good, peer], '10.0.0.2')
    let stored = 0
    for (const hog of hogs) stored += await fill(stores, hog, [peer], 10_000)
    t.ok(stored >= 20 && stored <= 40, `${stored} of 29 messages fit`)
    t.equal(await statusOf(a, mail(good, peer, 10_000)), 'stored')
  })
}

t.test(
  '17.6 a refused send keeps its place: later ones of its stream to the same recipient are refused too',
  async t => {
    const [a] = await openPair(t, `${redis.url}/${database++}`, { senderMaxBytes: 20_000 })
    const [from, to] = names('o', 2) as [Username, Username]
    await register(a, [from, to], '10.0.0.1')
    const results = await a.inboxes.append([mail(from, to, 5_000), mail(from, to, 90_000), mail(from, to, 1)])
    t.same(
      results.map(({ status }) => status),
      ['stored', 'no_room', 'no_room'],
    )
    const [, refused] = results
    t.match(refused, { why: 'sender', retryAfter: limits.storageRetryS })
  },
)

t.test('17.6 mail that is read at once costs no budget, however much it is', async t => {
  const [a, b] = await openPair(t, `${redis.url}/${database++}`, { senderMaxBytes: 100_000 })
  const [from, to] = names('live', 2) as [Username, Username]
  await register(a, [from, to], '10.0.0.1')
  const claim = await claimed(b, to, socket('reads'))
  for (let sent = 0; sent < 300; sent += 1) {
    await accepts(a, from, to, 2_000)
    await b.inboxes.ack(claim, (await readAll(b, claim)).at(-1)?.seq ?? 0)
  }
})

/** Sets the limit of Redis so that a share of it is used, and waits until the nodes know. */
async function pressed(own: Awaited<ReturnType<typeof startRedis>>, stores: readonly Store[], share: number) {
  const used = Number(/used_memory:(\d+)/.exec(String(await own.cli('INFO', 'memory')))?.[1])
  await own.cli('CONFIG', 'SET', 'maxmemory', Math.round(used / share))
  const level: StorageLevel = share >= 0.995 ? 'full' : share >= 0.75 ? 'scarce' : 'ok'
  await until(async () => stores.every(({ storage }) => storage.use().level === level), `the nodes know: ${level}`)
}

t.test('17.6 while memory is scarce strangers wait, and users that know each other go on', async t => {
  const own = await startRedis(t)
  const stores = await openPair(t, own.url, {})
  const [a, b] = stores
  const [alice, bob, stranger] = names('s', 3) as [Username, Username, Username]
  await register(a, [alice, bob], '10.0.0.1')
  await register(a, [stranger], '10.0.0.3')
  await append1(a, mail(alice, bob, 10))
  await until(async () => (await own.cli('HLEN', `aim:{${alice}}:known`)) === 1, 'alice knows bob')
  await b.privacy.setRule(stranger, bob, 'allowed')
  await pressed(own, stores, 0.8)

  t.equal(await statusOf(b, mail(bob, alice, 10)), 'stored', 'alice wrote to bob before, so he may write to her')
  t.equal(await statusOf(b, mail(bob, stranger, 10)), 'stored', 'the recipient allowed him')
  const refused = (await a.inboxes.append([mail(stranger, alice, 10)]))[0]
  t.match(refused, { status: 'no_room', why: 'stranger' })
  t.equal(await a.users.register(parseUsername('newcomer'), 'k', open, 'deletion', '10.9.9.9'), 'created')
  await own.cli('CONFIG', 'SET', 'maxmemory', 0)
  await accepts(a, stranger, alice, 10)
})

const append1 = async (store: Store, one: AppendItem) => t.equal(await statusOf(store, one), 'stored')

t.test(
  '17.6 the users of one address get no more than what is free, in mail, users, rules and dedupe entries',
  async t => {
    const own = await startRedis(t)
    const stores = await openPair(t, own.url, {})
    const [a] = stores
    const hogs = names('big', 60)
    await register(a, hogs, '10.0.0.1')
    const [good, peer] = names('g', 2) as [Username, Username]
    await register(a, [good, peer], '10.0.0.2')
    const used = Number(/used_memory:(\d+)/.exec(String(await own.cli('INFO', 'memory')))?.[1])
    await own.cli('CONFIG', 'SET', 'maxmemory', used + 1_500_000)
    await until(async () => a.storage.use().maxBytes === used + 1_500_000, 'the node knows')
    const [hog] = hogs as [Username]
    await t.rejects(a.users.register(parseUsername('one-more'), 'k', open, 'deletion', '10.0.0.1'), StorageBudgetError)
    await t.rejects(a.privacy.setRule(hog, peer, 'blocked'), StorageBudgetError)
    await t.rejects(a.keys.publish(hog, { oneTimeKeys: [{ id: 1, key: 'k' }] }), StorageBudgetError)
    await t.rejects(a.cards.publish(hog, { text: 'card', counter: 1, capabilities: [] }), StorageBudgetError)
    t.match((await a.inboxes.append([mail(hog, peer, 10)]))[0], { status: 'no_room', why: 'share' })
    t.equal(await statusOf(a, mail(good, peer, 10)), 'stored')
    t.equal(await a.users.register(parseUsername('elsewhere'), 'k', open, 'deletion', '10.0.0.9'), 'created')
  },
)

t.test('17.6 no call of a client grows a full Redis; mail can still be read and acknowledged', async t => {
  const own = await startRedis(t)
  const stores = await openPair(t, own.url, {})
  const [a] = stores
  const [alice, bob] = names('f', 2) as [Username, Username]
  await register(a, [alice, bob], '10.0.0.1')
  await a.keys.publish(bob, {
    bundle: { text: 'bundle', counter: 1 },
    oneTimeKeys: Array.from({ length: 50 }, (_none, id) => ({ id, key: 'k'.repeat(40) })),
  })
  for (let at = 0; at < 20; at += 1) await append1(a, mail(alice, bob, 1_000))
  await a.privacy.setRule(alice, bob, 'allowed')
  await pressed(own, stores, 1.1)

  const before = await keysOf(own)
  const many = Array.from({ length: 500 }, (_none, at) => at)
  const tried = (work: (at: number) => Promise<unknown>) =>
    Promise.all(
      many.map(at =>
        work(at)
          .then(() => 1, refusedFull)
          .then(Number),
      ),
    ).then(done => done.reduce((x, y) => x + y))
  t.equal(await tried(at => a.privacy.setRule(alice, parseUsername(`x-${at}`), 'blocked')), 0)
  t.equal(await tried(() => a.privacy.setWriters(alice, 'contacts')), 0)
  t.equal(await tried(at => a.inboxes.reserve(alice, at + 1)), 0)
  t.equal(await tried(at => a.users.register(parseUsername(`y-${at}`), 'k', open)), 0)
  t.equal(await tried(at => a.keys.fetch(bob, alice, `f-${at}`)), 0)
  t.equal(await tried(at => a.keys.publish(alice, { oneTimeKeys: [{ id: at, key: 'k' }] })), 0)
  t.equal(await tried(() => a.cards.publish(alice, { text: 'card', counter: 1, capabilities: ['a'] })), 0)
  t.equal(
    await tried(at =>
      a.buckets.lease(
        { kind: 'messages', user: alice, peer: parseUsername(`z-${at}`) },
        { perSecond: 1, burst: 9 },
        { wanted: 1, needed: 1 },
      ),
    ),
    0,
  )
  const challenges = await tried(at => a.logins.putChallenge(`nonce-${at}`, alice, 60_000))
  t.ok(challenges <= 3 * limits.writesWhenFullPerS, `${challenges} challenges of 500: a user must be able to log in`)
  for (let at = 0; at < 8; at += 1) {
    await until(
      () =>
        a.logins.create(`token-${at}`, alice, 60_000).then(
          () => true,
          () => false,
        ),
      'a login',
    )
  }
  t.equal((await a.logins.list(alice)).length, limits.maxSessionsWhenFull, 'and keeps few logins')
  const grown = (await keysOf(own)).filter(key => !before.includes(key) && !/challenge|session/.test(key))
  t.strictSame(grown, [])

  await a.privacy.setRule(alice, bob, null)
  const claim = await claimed(a, bob, socket('reads'))
  const envelopes = await readAll(a, claim)
  t.equal(envelopes.length, 20)
  t.equal(await a.inboxes.ack(claim, envelopes.at(-1)?.seq ?? 0), 'acked')
  await own.cli('CONFIG', 'SET', 'maxmemory', 0)
  await accepts(a, alice, bob, 1_000)
})

const keysOf = async (own: Awaited<ReturnType<typeof startRedis>>): Promise<string[]> =>
  ((await own.cli('KEYS', '*')) as string[]).filter(key => !/lock|fence/.test(key))

function refusedFull(error: unknown): number {
  if (error instanceof StoreUnavailableError || error instanceof StorageBudgetError) return 0
  throw error
}
