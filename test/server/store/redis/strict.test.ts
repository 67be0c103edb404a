import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import { openRedisStore } from '../../../../src/server/store/redis/redis-store.ts'
import { type Store, StoreUnavailableError } from '../../../../src/server/store/store.ts'
import { type RedisProcess, startRedis } from '../../../../tools/servers/redis.ts'
import {
  alice,
  append,
  bob,
  claimed,
  contractOptions,
  identityOf,
  idsOf,
  item,
  open,
  readAll,
  register,
  socket,
  statuses,
  until,
} from '../contract/world.ts'

type World = { primary: RedisProcess; replica: RedisProcess; a: Store; b: Store }

/**
 * Two strict nodes on a primary that requires a replica, and has one. The primary does not notice a paused replica
 * itself.
 */
async function openWorld(t: Test): Promise<World> {
  const primary = await startRedis(t, { config: { 'min-replicas-to-write': '1', 'min-replicas-max-lag': '3600' } })
  const replica = await startRedis(t, { config: { replicaof: `127.0.0.1 ${primary.port}` } })
  await until(
    async () => /state=online/.test(String(await primary.cli('INFO', 'replication'))),
    'the replica is connected',
  )
  const openNode = async () => {
    const options = { ...contractOptions, nodeId: randomUUID() }
    const store = await openRedisStore(options, { url: primary.url, durability: 'strict' })
    t.teardown(() => store.close())
    return store
  }
  return { primary, replica, a: await openNode(), b: await openNode() }
}

t.test(
  'a strict node accepts nothing while its replica is away, and each message once when the replica is back',
  async t => {
    const { replica, a, b } = await openWorld(t)
    await register(a, alice, bob)
    t.same(statuses(await a.inboxes.append([item('first')])), ['stored'])

    await replica.kill('SIGSTOP')
    await t.rejects(a.inboxes.append([item('second')]), StoreUnavailableError)
    await t.rejects(a.inboxes.append([item('second')]), StoreUnavailableError, 'a repetition is refused, too')
    await t.rejects(
      b.inboxes.append([item('second')]),
      StoreUnavailableError,
      'another node, whose script writes nothing, refuses it, too',
    )

    await replica.kill('SIGCONT')
    t.match(await b.inboxes.append([item('second')]), [{ status: 'stored', repeated: true }])
    const claim = await claimed(a, alice, socket('c1'))
    t.same(idsOf(await readAll(a, claim)), ['first', 'second'])
  },
)

t.test('accepted messages are on the replica when the primary is gone', async t => {
  const { primary, replica, a } = await openWorld(t)
  await register(a, alice, bob)
  for (let at = 0; at < 50; at++) await append(a, item(`m${at}`))
  await primary.kill('SIGKILL')
  t.equal(await replica.cli('XLEN', 'aim:{alice}:inbox'), 50)
})

t.test('while the replica is away', async t => {
  const { replica, a } = await openWorld(t)
  await register(a, alice, bob)
  await a.keys.publish(alice, { bundle: { text: 'bundle', counter: 1 }, oneTimeKeys: [{ id: 1, key: 'key' }] })
  await a.logins.create('token', alice, 60_000)
  await replica.kill('SIGSTOP')

  const refused: Record<string, () => Promise<unknown>> = {
    'no name is registered': () => a.users.register(bob, identityOf(bob), open),
    'no keys are published': () => a.keys.publish(bob, { bundle: { text: 'bundle', counter: 1 } }),
    'no one-time key is handed out': () => a.keys.fetch(alice, bob, 'fetch'),
    'no revocation is confirmed': () => a.logins.revoke('token'),
    'no deletion is confirmed': () => a.users.delete(bob),
  }
  for (const [what, attempt] of Object.entries(refused)) {
    t.test(what, async t => {
      await t.rejects(attempt(), StoreUnavailableError)
    })
  }
  t.test('mail is still read and leases are still renewed', async t => {
    const waiting = a.inboxes.append([item('waits')]).catch(() => 'unavailable')
    const claim = await claimed(a, alice, socket('c1'))
    await a.nodes.renewLease()
    t.same(await a.inboxes.ack(claim, 0), 'acked')
    t.equal(await waiting, 'unavailable')
  })
})

t.test('concurrent appends share their waits, and all fail while the replica is away', async t => {
  const { replica, a } = await openWorld(t)
  await register(a, alice, bob)
  await replica.kill('SIGSTOP')
  const start = performance.now()
  const results = await Promise.allSettled(Array.from({ length: 40 }, (_, at) => a.inboxes.append([item(`m${at}`)])))
  t.ok(results.every(({ status }) => status === 'rejected'))
  t.ok(performance.now() - start < 15_000, 'they share a wait')
})
