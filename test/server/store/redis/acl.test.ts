import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import t from 'tap'
import { openRedisStore } from '../../../../src/server/store/redis/redis-store.ts'
import { startRedis } from '../../../../tools/servers/redis.ts'
import { nodeUser } from '../../../../tools/servers/redis-acl.ts'
import { contractOptions } from '../contract/world.ts'
import { storeContract } from '../contract.ts'
import { redisWorlds } from './redis-world.ts'

const redis = await startRedis(t, { config: { databases: '500' } })
const asUser = `redis://aimessage:secret@127.0.0.1:${redis.port}`

t.test('the user of docs/OPERATIONS.md', async t => {
  // Each world of the contract uses its own database, so only the tests need `SELECT`.
  await redis.cli('ACL', ...nodeUser('secret', '+select'))
  await redis.cli('ACL', 'LOG', 'RESET')
  storeContract(t, redisWorlds(asUser))
})

t.test('is allowed everything that the store does', async t => {
  t.same(await redis.cli('ACL', 'LOG'), [])
})

/** Commands of a Cluster, of strict nodes (`wait`), and of a new connection. */
const elsewhere = [
  'wait',
  'cluster|slots',
  'cluster|nodes',
  'cluster|info',
  'spublish',
  'ssubscribe',
  'hello',
  'auth',
  'select',
]

t.test('has no permission that the store does not use', async t => {
  const stats = String(await redis.cli('INFO', 'commandstats'))
  const used = new Set([...stats.matchAll(/^cmdstat_([^:]+):/gm)].map(([, name]) => name))
  const given = nodeUser('secret').flatMap(word => (word.startsWith('+') ? [word.slice(1)] : []))
  t.ok(given.length > 50)
  t.same(
    given.filter(name => !used.has(name) && !elsewhere.includes(name)),
    [],
  )
})

// Evidence: X3
t.test('is refused everything else', async t => {
  await redis.cli('SET', 'other', 'value')
  await redis.cli('ACL', ...nodeUser('secret'))
  const client = new Redis(asUser, { lazyConnect: true })
  t.teardown(() => client.disconnect())
  await client.connect()
  const refused: [string, ...string[]][] = [
    ['FLUSHALL'],
    ['KEYS', '*'],
    ['SCAN', '0'],
    ['CONFIG', 'SET', 'appendonly', 'no'],
    ['SHUTDOWN'],
    ['ACL', 'LIST'],
    ['MONITOR'],
    ['REPLICAOF', 'NO', 'ONE'],
    ['GET', 'other'],
    ['SET', 'other', 'x'],
    ['EVAL', "return redis.call('GET', 'other')", '0'],
    ['PUBLISH', 'elsewhere', 'x'],
    ['SELECT', '1'],
    ['FUNCTION', 'LIST'],
    ['SCRIPT', 'FLUSH'],
  ]
  for (const [command, ...args] of refused) {
    await t.rejects(client.call(command, ...args), /NOPERM|no permissions|can't access/i, [command, ...args].join(' '))
  }
})

t.test('gets an error without command arguments if a permission is missing', async t => {
  await redis.cli('ACL', ...nodeUser('secret', '-xadd', '-getdel'))
  const store = await openRedisStore({ ...contractOptions, nodeId: randomUUID() }, { url: asUser })
  t.teardown(() => store.close())
  const error = await store.logins.takeChallenge('canary', Object('alice')).catch((error: unknown) => error)
  t.match(error, { name: 'StoreUnavailableError' })
  t.notMatch(String(error), /canary/)
})
