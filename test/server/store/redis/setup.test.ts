import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import { parseUsername } from '../../../../src/protocol/names.ts'
import type { Durability } from '../../../../src/server/base/config.ts'
import { toProtocolError } from '../../../../src/server/base/to-protocol-error.ts'
import { RedisSetupError } from '../../../../src/server/store/redis/connection/check-server.ts'
import { openRedisStore } from '../../../../src/server/store/redis/redis-store.ts'
import { runNodeProcess } from '../../../../tools/servers/node.ts'
import { freePort, type RedisProcess, startRedis } from '../../../../tools/servers/redis.ts'
import { nodeUser } from '../../../../tools/servers/redis-acl.ts'
import { contractOptions } from '../contract/world.ts'

type Case = {
  server: string
  config: Record<string, string>
  demands?: { durability?: Durability; appendOnly?: 'optional' }
  /** Pattern of the error text. */
  refused?: RegExp
  warned?: RegExp[]
}

const cases: Case[] = [
  { server: 'with an append-only file', config: {} },
  {
    server: 'with snapshots only',
    config: { appendonly: 'no', save: '3600 1' },
    refused: /after the last snapshot are lost .*run: redis-cli config set appendonly yes.*REDIS_APPENDONLY=optional/,
  },
  {
    server: 'without persistence',
    config: { appendonly: 'no', save: '' },
    refused: /appendonly is off.*run: redis-cli config set appendonly yes/,
  },
  {
    server: 'with snapshots only and REDIS_APPENDONLY=optional',
    config: { appendonly: 'no', save: '3600 1' },
    demands: { appendOnly: 'optional' },
    warned: [/after the last snapshot are lost .* config set appendonly yes/],
  },
  {
    server: 'that evicts keys',
    config: { 'maxmemory-policy': 'allkeys-lru' },
    refused: /allkeys-lru and would evict mail; run: redis-cli config set maxmemory-policy noeviction/,
  },
  {
    server: 'of a Cluster',
    config: { 'cluster-enabled': 'yes' },
    refused: /part of a Redis Cluster; use redis\+cluster:/,
  },
  {
    server: 'that accepts writes without replicas, with a strict node,',
    config: {},
    demands: { durability: 'strict' },
    refused: /DURABILITY is strict.*run: redis-cli config set min-replicas-to-write 1/,
  },
]

async function open(t: Test, { url }: RedisProcess, demands: Case['demands'] = {}): Promise<string[]> {
  const warnings: string[] = []
  const options = { ...contractOptions, nodeId: randomUUID() }
  const store = await openRedisStore(options, { url, ...demands, warn: message => warnings.push(message) })
  t.teardown(() => store.close())
  return warnings
}

for (const { server, config, demands, refused, warned = [] } of cases) {
  t.test(
    `a server ${server} is ${refused ? 'refused' : warned.length > 0 ? 'accepted with a warning' : 'accepted'}`,
    async t => {
      const redis = await startRedis(t, { config })
      if (refused) {
        const error = await open(t, redis, demands).catch((error: unknown) => error)
        if (!(error instanceof RedisSetupError)) throw new Error('the server was accepted')
        t.match(error.message, refused)
        return
      }
      const warnings = await open(t, redis, demands)
      t.equal(warnings.length, warned.length)
      t.match(warnings, warned)
    },
  )
}

// Evidence: S3
t.test('a replica is refused, and the error asks for its primary', async t => {
  const redis = await startRedis(t, { config: { replicaof: `127.0.0.1 ${await freePort()}` } })
  await t.rejects(open(t, redis), { name: 'RedisSetupError', message: /is a replica.*use the URL of its primary/ })
})

// Evidence: R7
t.test('R7: a node does not start with a Redis that evicts mail, and reports what to change', async t => {
  const { url } = await startRedis(t, { config: { 'maxmemory-policy': 'allkeys-lru' } })
  const { code, stderr } = await runNodeProcess({ REDIS_URL: url, PORT: '0' })
  t.equal(code, 2)
  t.match(stderr, /^REDIS_URL: maxmemory-policy is allkeys-lru .*config set maxmemory-policy noeviction$/m)
})

// Evidence: R7
t.test('18.8 a node does not start on a database or with a user that Redis refuses', async t => {
  const redis = await startRedis(t, { config: { databases: '2', maxclients: '64' } })
  const at = (user: string, path: string) => `redis://${user}127.0.0.1:${redis.port}${path}`
  const refusalOf = async (url: string): Promise<unknown> =>
    openRedisStore({ ...contractOptions, nodeId: randomUUID() }, { url }).catch((error: unknown) => error)

  for (const path of ['/2', '/7', '/9999'])
    t.match(
      await refusalOf(at('', path)),
      { name: 'RedisSetupError', message: /^REDIS_URL .*index is out of range/ },
      path,
    )
  await redis.cli('ACL', ...nodeUser('secret'))
  t.match(await refusalOf(at('aimessage:secret@', '/1')), { name: 'RedisSetupError', message: /NOPERM.*\+select/ })
  t.match(await refusalOf(at('aimessage:canary@', '')), { name: 'RedisSetupError', message: /^REDIS_URL.*WRONGPASS/ })
  t.notMatch(String(await refusalOf(at('aimessage:canary@', ''))), /canary/)
  t.equal(await redis.cli('DBSIZE'), 0, 'nothing was written to database 0')

  await redis.cli('ACL', ...nodeUser('secret', '+select'))
  const store = await openRedisStore(
    { ...contractOptions, nodeId: randomUUID() },
    { url: at('aimessage:secret@', '/1') },
  )
  t.teardown(() => store.close())
  t.equal(await redis.cli('DBSIZE'), 0, 'another database is used')

  await redis.cli('ACL', ...nodeUser('secret', '-select'))
  await redis.cli('CLIENT', 'KILL', 'USER', 'aimessage')
  while (store.isReady()) await new Promise(resolve => setTimeout(resolve, 20))
  await store.users.find(parseUsername('alice')).catch(() => {})
  t.equal(await redis.cli('DBSIZE'), 0, 'nor is database 0 used after a reconnection without the permission')
  await redis.cli('ACL', ...nodeUser('secret', '+select'))
  while (!store.isReady()) await new Promise(resolve => setTimeout(resolve, 20))
  t.equal(await redis.cli('DBSIZE'), 0)
})

t.test('18.8 Redis holds one DOMAIN: a node of another does not start, and both are named', async t => {
  const redis = await startRedis(t)
  const openAs = async (domain: string) => {
    const store = await openRedisStore({ ...contractOptions, nodeId: randomUUID() }, { url: redis.url, domain })
    await store.close()
  }
  await openAs('prod.example')
  await openAs('prod.example')
  const both = /^DOMAIN is staging\.example, .*prod\.example.*redis-cli del aim:domain/
  await t.rejects(openAs('staging.example'), { name: 'RedisSetupError', message: both })
  await redis.cli('CONFIG', 'SET', 'maxmemory', '1')
  await openAs('prod.example')
  await redis.cli('DEL', 'aim:domain')
  await openAs('staging.example')
  t.equal(String(await redis.cli('GET', 'aim:domain')), 'staging.example', 'a full Redis without a domain takes it')
})

t.test('18.8 the cause of an outage is reported once, and a full Redis is called full', async t => {
  const redis = await startRedis(t)
  const reports: string[] = []
  const store = await openRedisStore(
    { ...contractOptions, nodeId: randomUUID() },
    { url: redis.url, outage: message => reports.push(message) },
  )
  t.teardown(() => store.close())
  const until = async (isTrue: () => boolean) => {
    while (!isTrue()) await new Promise(resolve => setTimeout(resolve, 20))
  }
  const alice = parseUsername('alice')
  const register = () => store.users.register(alice, 'one', { kind: 'open' })

  await redis.cli('CONFIG', 'SET', 'maxmemory', '1')
  for (let times = 0; times < 3; times += 1) {
    const error = await register().catch((error: unknown) => error)
    t.match(toProtocolError(error), { code: 'unavailable', message: 'the store is full: it takes no new mail' })
  }
  t.match(reports, [/^Redis refuses writes, because it is full: OOM/])
  t.equal(reports.length, 1)
  await redis.cli('CONFIG', 'SET', 'maxmemory', '0')
  t.equal(await register(), 'created')

  reports.length = 0
  await redis.cli('ACL', 'SETUSER', 'default', 'resetpass', '>canary-password')
  await redis.cli('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
  await until(() => reports.length > 0)
  t.match(reports, [/^Redis cannot be used: NOAUTH/])
  await redis.cli('ACL', 'SETUSER', 'default', 'nopass')
  await until(() => store.isReady())
  t.equal(reports.length, 1, 'once for an outage')
  t.notMatch(reports.join(), /canary/)

  await redis.kill('SIGKILL')
  await until(() => reports.length > 1)
  await redis.restart()
  await until(() => store.isReady())
  t.equal(reports.length, 2, 'the next outage is reported again')
})

t.test('18.8 a server that takes no more clients is the cause, at the start and later', async t => {
  const redis = await startRedis(t, { config: { maxclients: '1' } })
  await redis.cli('PING')
  const open = openRedisStore({ ...contractOptions, nodeId: randomUUID() }, { url: redis.url })
  await t.rejects(open, { name: 'StoreUnavailableError', message: /max number of clients reached/ })
})
