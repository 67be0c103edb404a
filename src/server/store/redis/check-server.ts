import type { Redis } from 'ioredis'
import { schemaKey } from './keys.ts'
import { asString } from './reply.ts'
import { settled } from './store-error.ts'

/** Version of everything in `keys.ts` and the scripts. */
const schemaVersion = '1'
const minVersion = 7

/** A Redis that would lose mail, or that holds what this version does not know. */
export class RedisSetupError extends Error {
  override readonly name = 'RedisSetupError'
}

/** Fields of `INFO`. */
export async function readInfo(redis: Redis): Promise<Map<string, string>> {
  const text = asString(await settled(redis.info()))
  const lines = text.split('\r\n').filter(line => line.includes(':'))
  return new Map(lines.map(line => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]))
}

/**
 * Refuses a server that cannot keep what nodes promise. Returns what is merely unwise.
 * @throws {RedisSetupError} that says what to change
 */
export async function checkServer(redis: Redis): Promise<string[]> {
  const info = await readInfo(redis)
  const version = info.get('redis_version') ?? ''
  if (Number.parseInt(version, 10) < minVersion) {
    throw new RedisSetupError(`REDIS_URL: Redis ${version} is too old; version ${minVersion} or later is needed`)
  }
  if (info.get('cluster_enabled') === '1') {
    throw new RedisSetupError(
      'REDIS_URL: this server is part of a Redis Cluster, which is not supported yet; use a single one',
    )
  }
  const policy = info.get('maxmemory_policy') ?? ''
  if (policy !== 'noeviction') {
    throw new RedisSetupError(
      `REDIS_URL: maxmemory-policy is ${policy} and would throw mail away; run: redis-cli config set maxmemory-policy noeviction`,
    )
  }
  await checkSchema(redis)
  if (info.get('aof_enabled') === '1') return []
  return ['appendonly is off: what Redis holds is lost when it ends; run: redis-cli config set appendonly yes']
}

/** What is there, or now is. A Redis that is full takes no write, not even one that changes nothing. */
export async function makeOnce(redis: Redis, key: string, value: string): Promise<string | null> {
  const found = await redis.get(key)
  if (found !== null) return found
  await redis.set(key, value, 'NX')
  return redis.get(key)
}

async function checkSchema(redis: Redis): Promise<void> {
  const found = await settled(makeOnce(redis, schemaKey, schemaVersion))
  if (found === schemaVersion) return
  throw new RedisSetupError(
    `REDIS_URL: this Redis holds data of schema ${found}, and this version knows ${schemaVersion}; run the version that wrote it, or use another Redis`,
  )
}
