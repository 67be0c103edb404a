import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { limits } from '../../../../src/protocol/limits.ts'
import { parseUsername, type Username } from '../../../../src/protocol/names.ts'
import {
  inboxKey,
  metaKey,
  nodesKey,
  nodeUsersKey,
  shareKey,
} from '../../../../src/server/store/redis/connection/keys.ts'
import { scripts } from '../../../../src/server/store/redis/connection/script.ts'
import type { Acquire } from '../../../../src/server/store/redis/nodes/locks.ts'
import { openRedisStore } from '../../../../src/server/store/redis/redis-store.ts'
import type { Claim, Store } from '../../../../src/server/store/store.ts'
import { dialPort } from '../../../../tools/net/balancer.ts'
import { FaultProxy } from '../../../../tools/net/fault-proxy.ts'
import { seededRandom } from '../../../../tools/random.ts'
import { connectTo, type RedisProcess, startRedis } from '../../../../tools/servers/redis.ts'
import {
  alice,
  append,
  claimed,
  contractOptions,
  everything,
  idsOf,
  item,
  readAll,
  register,
  socket,
  until,
} from '../contract/world.ts'

/** A lock that does not exclude: every caller gets it at once, for the full time. */
const granted: Acquire = async (_resource, durationMs) => ({
  expiration: Date.now() + durationMs,
  release: async () => {},
})
/** As Redlock 5.0.0-beta.2 did: the lock is granted after its expiration. */
const tooLate: Acquire = async () => ({ expiration: Date.now() - 2_000, release: async () => {} })

async function openStore(t: Test, port: number, acquire: Acquire): Promise<Store> {
  const options = { ...contractOptions, nodeId: randomUUID() }
  const store = await openRedisStore(options, { url: `redis://127.0.0.1:${port}`, locksOf: () => acquire })
  t.teardown(() => store.close())
  return store
}

/** Renews the leases of the stores every second until the test ends. */
function keepAlive(t: Test, ...stores: Store[]): void {
  const timer = setInterval(
    () => void Promise.all(stores.map(store => store.nodes.renewLease())).catch(() => {}),
    1_000,
  )
  t.teardown(() => clearInterval(timer))
}

const keepers = 4
const users = Array.from({ length: 8 }, (_, at) => parseUsername(`user-${at}`))
const clean = (store: Store) => Promise.all([store.nodes.cleanUpDead(), store.sweep()])

/**
 * Simulates one user step by step: it receives mail, some with a short ttl, listens on changing nodes, and
 * acknowledges.
 */
class UserLife {
  readonly #username: Username
  readonly #random = seededRandom(4)
  #sent = 0
  #claim: { store: Store; claim: Claim } | undefined
  readonly kept: string[] = []
  /** Claims that were released although their node was alive. */
  lost = 0

  constructor(username: Username) {
    this.#username = username
  }

  async step(stores: readonly Store[]): Promise<void> {
    await this.send(this.#random.pick(stores))
    const { store, claim } = await this.#listen(stores)
    const envelopes = await store.inboxes.read(claim, 0, everything)
    if (envelopes === 'stale') {
      this.lost += 1
      this.#claim = undefined
      return
    }
    const top = this.#random.pick(envelopes)
    if (top && this.#random.next() < 0.3) await this.#ack(store, claim, top)
  }

  async send(store: Store): Promise<void> {
    const ids = Array.from({ length: 3 }, () => `${this.#username}-${this.#sent++}`)
    await append(store, ...ids.map((id, at) => item(id, { to: this.#username, ttlMs: at === 0 ? 300 : 600_000 })))
    this.kept.push(...ids.slice(1))
  }

  async #listen(stores: readonly Store[]): Promise<{ store: Store; claim: Claim }> {
    if (!this.#claim || this.#random.next() < 0.2) {
      const store = this.#random.pick(stores)
      this.#claim = { store, claim: await claimed(store, this.#username, socket(randomUUID())) }
    }
    return this.#claim
  }

  async #ack(store: Store, claim: Claim, { seq, id }: { seq: number; id: string }): Promise<void> {
    if ((await store.inboxes.ack(claim, seq)) !== 'acked')
      throw new Error('an envelope that was just read cannot be acknowledged')
    const number = (each: string) => Number(each.slice(each.lastIndexOf('-') + 1))
    this.kept.splice(0, this.kept.filter(each => number(each) <= number(id)).length)
  }
}

/** The number of envelopes that `meta` counts, and the number in the stream. */
const countsOf = async ({ cli }: RedisProcess, username: Username) => ({
  counted: Number(await cli('HGET', metaKey(username), 'count')),
  held: Number(await cli('XLEN', inboxKey(username))),
})

// Evidence: S5
t.test(
  'with a lock that every node gets, concurrent cleanups lose no mail, leave nothing behind, and release no claim of a live node',
  async t => {
    const redis = await startRedis(t)
    const stores = await Promise.all(Array.from({ length: keepers }, () => openStore(t, redis.port, granted)))
    const [first] = stores
    if (!first) throw new Error('keepers')
    const mortals = await Promise.all([1, 2].map(() => openStore(t, redis.port, granted)))
    const [returning, dead] = mortals
    if (!returning || !dead) throw new Error('mortals')
    await register(first, ...users)
    // All users listen on nodes that stop renewing. The others treat them as dead after a full lease of their own.
    for (const [at, user] of users.entries()) await claimed(at % 2 ? returning : dead, user, socket(`dead-${at}`))
    keepAlive(t, ...stores)
    await delay(limits.leaseMs + 2_000)
    await returning.nodes.renewLease()
    keepAlive(t, returning)

    const lives = users.map(username => new UserLife(username))
    const over = AbortSignal.timeout(6_000)
    const keep = async (store: Store) => {
      while (!over.aborted) await clean(store)
    }
    const live = async (life: UserLife) => {
      while (!over.aborted) await life.step([...stores, returning])
      // The last step may have acknowledged all mail.
      await life.send(first)
    }
    await Promise.all([...stores.map(keep), ...lives.map(live)])
    await delay(400)
    await until(async () => {
      await Promise.all(stores.map(clean))
      return Number(await redis.cli('ZSCORE', nodesKey, dead.nodeId)) === 0
    }, 'the dead node is removed')

    for (const [at, username] of users.entries()) {
      const claim = await claimed(first, username, socket('last'))
      t.same(idsOf(await readAll(first, claim)), lives[at]?.kept, `${username} has its mail, in order`)
      const { counted, held } = await countsOf(redis, username)
      t.equal(counted, held)
      t.equal(lives[at]?.lost, 0, 'no claim of a live node was released')
    }
    t.same(await redis.cli('SMEMBERS', nodeUsersKey(dead.nodeId)), [])
    t.ok(lives.every(({ kept }) => kept.length > 0))
  },
)

// Evidence: S5
t.test('nothing is done under a lock that is granted after its expiration', async t => {
  const redis = await startRedis(t)
  const [keeper, dead] = [await openStore(t, redis.port, tooLate), await openStore(t, redis.port, tooLate)]
  await register(keeper, alice)
  await claimed(dead, alice, socket('c1'))
  await append(keeper, item('m1', { ttlMs: 100 }))
  keepAlive(t, keeper)
  await delay(limits.leaseMs + 2_000)
  t.equal((await keeper.users.find(alice))?.online, false)
  await clean(keeper)
  t.match(await redis.cli('HGET', metaKey(alice), 'owner'), /c1$/)
  t.equal(await redis.cli('XLEN', inboxKey(alice)), 1)
})

t.test('a delayed cleanup does not release the claim of a node that came back meanwhile', async t => {
  const redis = await startRedis(t)
  let heard: (chunk: string) => void = () => {}
  const proxy = await FaultProxy.listen(async () => {
    const link = await dialPort(redis.port)
    link.on('data', chunk => heard(String(chunk)))
    return link
  })
  t.teardown(() => proxy.close())
  const slow = await openStore(t, proxy.port, granted)
  const [fast, back] = [await openStore(t, redis.port, granted), await openStore(t, redis.port, granted)]
  await register(fast, alice)
  await claimed(back, alice, socket('c1'))
  keepAlive(t, fast, slow)
  await delay(limits.leaseMs + 2_000)

  // Two replies of sixteen digits: the fencing number, and then the epoch that says that the node is dead.
  let numbers = 0
  heard = chunk => {
    if (/^\$16\r\n\d{16}\r\n$/.test(chunk)) numbers += 1
    if (numbers === 2) proxy.set({ kind: 'pause' })
  }
  const cleaning = slow.nodes.cleanUpDead()
  await until(() => numbers === 2, 'the slow node has seen that the other is dead')
  heard = () => {}
  await fast.nodes.cleanUpDead()
  t.equal(await redis.cli('HGET', metaKey(alice), 'owner'), null, 'the fast node has cleaned up')
  await back.nodes.renewLease()
  const claim = await claimed(back, alice, socket('c2'))
  proxy.set({ kind: 'pass' })
  await cleaning
  t.same(await back.inboxes.read(claim, 0, everything), [], 'the claim is still valid')
  await fast.nodes.renewLease()
  t.equal((await fast.users.find(alice))?.online, true)
})

t.test('of two nodes that both hold the lock, the one with the lower fencing number is refused', async t => {
  const redis = await startRedis(t)
  const client = connectTo(t, redis)
  const store = await openStore(t, redis.port, granted)
  await register(store, alice)
  const release = (fence: number) => scripts.releaseDead.run(client, [metaKey(alice)], [store.nodeId, fence, 2 ** 53])
  const expire = (fence: number) =>
    scripts.expire.run(client, [metaKey(alice), inboxKey(alice), shareKey(alice)], [fence])
  await claimed(store, alice, socket('c1'))
  t.equal(await release(2), 'released')
  const claim = await claimed(store, alice, socket('c2'))
  t.equal(await release(1), 'overtaken')
  t.same(await store.inboxes.read(claim, 0, everything), [])
  t.same(await expire(2), ['', []])
  t.same(await expire(1), ['overtaken', []])
})
