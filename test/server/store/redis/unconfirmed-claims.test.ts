import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { commandTimeoutMs } from '../../../../src/server/store/redis/connection/connect.ts'
import { metaKey, userKey } from '../../../../src/server/store/redis/connection/keys.ts'
import { scripts } from '../../../../src/server/store/redis/connection/script.ts'
import { openRedisStore } from '../../../../src/server/store/redis/redis-store.ts'
import { type Store, StoreUnavailableError } from '../../../../src/server/store/store.ts'
import { dialPort } from '../../../../tools/net/balancer.ts'
import { FaultProxy, type ProxyMode } from '../../../../tools/net/fault-proxy.ts'
import { connectTo, type RedisProcess, startRedis } from '../../../../tools/servers/redis.ts'
import { alice, claimed, contractOptions, register, socket, until } from '../contract/world.ts'

type World = {
  redis: RedisProcess
  proxy: FaultProxy
  afterMark: (mode: ProxyMode) => void
  store: Store
  other: Store
}

/** One node uses a proxy that can lose everything after a chosen reply; the other node connects directly. */
async function startWorld(t: Test): Promise<World> {
  const redis = await startRedis(t)
  let heard: (chunk: Buffer) => void = () => {}
  const proxy = await FaultProxy.listen(async () => {
    const link = await dialPort(redis.port)
    link.on('data', chunk => heard(chunk))
    return link
  })
  t.teardown(() => proxy.close())
  const open = async (port: number) => {
    const options = { ...contractOptions, nodeId: randomUUID() }
    const store = await openRedisStore(options, { url: `redis://127.0.0.1:${port}` })
    t.teardown(() => store.close())
    return store
  }
  const world = { redis, proxy, store: await open(proxy.port), other: await open(redis.port) }
  await register(world.other, alice)
  // Loads the scripts into Redis.
  await world.other.inboxes.release(await claimed(world.other, alice, socket('c0')))
  const afterMark = (mode: ProxyMode) => {
    heard = chunk => {
      if (!/^:\d+\r\n$/.test(String(chunk))) return
      heard = () => {}
      setImmediate(() => proxy.set(mode))
    }
  }
  return { ...world, afterMark }
}

const holderOf = ({ redis }: World) => redis.cli('HGET', metaKey(alice), 'owner')
const isOnline = async ({ other }: World) => (await other.users.find(alice))?.online
const answers = (store: Store) => () =>
  store.nodes.renewLease().then(
    () => true,
    () => false,
  )

// Evidence: P9
t.test('a claim whose answer was lost is released once Redis answers again', async t => {
  const world = await startWorld(t)
  const { proxy, store, other, afterMark } = world
  afterMark({ kind: 'swallow', direction: 'down' })
  await t.rejects(store.inboxes.claim(alice, socket('c1')), StoreUnavailableError)
  t.match(await holderOf(world), /c1$/, 'it was granted')
  t.equal(await isOnline(world), true)
  proxy.set({ kind: 'rst' })
  proxy.set({ kind: 'pass' })
  await until(answers(store), 'Redis answers')
  await until(async () => (await holderOf(world)) === null, 'the claim is released')
  await until(async () => (await isOnline(world)) === false, 'alice is offline')
  await until(
    async () => (await other.users.list({ limit: 9, online: true })).users.length === 0,
    'no user is listed as online',
  )
})

t.test('the release of an unconfirmed claim does not affect a later claim of the same node', async t => {
  const world = await startWorld(t)
  const { proxy, store, afterMark } = world
  afterMark({ kind: 'swallow', direction: 'down' })
  await t.rejects(store.inboxes.claim(alice, socket('c1')), StoreUnavailableError)
  proxy.set({ kind: 'rst' })
  proxy.set({ kind: 'pass' })
  await until(
    () =>
      store.inboxes.claim(alice, socket('c2')).then(
        () => true,
        () => false,
      ),
    'the second claim is granted',
  )
  await delay(commandTimeoutMs)
  await until(answers(store), 'Redis answers')
  await delay(200)
  t.match(await holderOf(world), /c2$/)
  t.equal(await isOnline(world), true)
})

// Evidence: P9
t.test('a claim that reaches Redis after its deadline is not granted', async t => {
  const world = await startWorld(t)
  const { redis, proxy, store, afterMark } = world
  const epoch = await redis.cli('HGET', metaKey(alice), 'epoch')
  afterMark({ kind: 'pause' })
  await t.rejects(store.inboxes.claim(alice, socket('c1')), StoreUnavailableError)
  // The node gives up on the silent connection before the deadline of the claim.
  await delay(commandTimeoutMs)
  proxy.set({ kind: 'pass' })
  await until(answers(store), 'Redis answers')
  t.equal(await holderOf(world), null)
  t.equal(await redis.cli('HGET', metaKey(alice), 'epoch'), epoch, 'no epoch was used')
})

t.test('the script refuses a claim after its deadline', async t => {
  const { redis } = await startWorld(t)
  const client = connectTo(t, redis)
  const claim = (until: number) =>
    scripts.claim.run(client, [metaKey(alice), userKey(alice)], ['s n c', 'n', '', '', until])
  const abandon = (until: number) => scripts.abandon.run(client, [metaKey(alice), userKey(alice)], ['s n c', until])
  const [past, future] = [Date.now() - 1_000, Date.now() + 60_000]
  t.same(await claim(past), ['late'])
  t.equal(await abandon(past), 1, 'it can no longer be granted')
  t.equal(await abandon(future), 0, 'it may still be granted')
  t.match(await claim(future), ['taken'])
  t.equal(await abandon(future), 1)
  t.equal(await redis.cli('HGET', metaKey(alice), 'owner'), null)
})
