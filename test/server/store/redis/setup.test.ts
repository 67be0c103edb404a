import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import type { Durability } from '../../../../src/server/base/config.ts'
import { RedisSetupError } from '../../../../src/server/store/redis/connection/check-server.ts'
import { openRedisStore } from '../../../../src/server/store/redis/redis-store.ts'
import { runNodeProcess } from '../../../../tools/servers/node.ts'
import { freePort, type RedisProcess, startRedis } from '../../../../tools/servers/redis.ts'
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
  t.equal(code, 1)
  t.match(stderr, /^REDIS_URL: maxmemory-policy is allkeys-lru .*config set maxmemory-policy noeviction$/m)
})
