import type { Redis } from 'ioredis'
import { isCluster, primariesOf, type RedisClient } from './redis-client.ts'
import { asString } from './reply.ts'
import { settled } from './store-error.ts'

const minVersion = 7

/** Where a write must be before it is confirmed: on the primary, or (`strict`) also on a replica. */
export type Durability = 'standard' | 'strict'
/** Whether a Redis without an append-only file is accepted. */
export type AppendOnly = 'required' | 'optional'
type Demands = { durability: Durability; appendOnly: AppendOnly }

/** The Redis server would lose mail, or its data has a schema that this version does not read. */
export class RedisSetupError extends Error {
  override readonly name = 'RedisSetupError'
}

/** Returns the fields of `INFO`. */
export async function readInfo(redis: Redis): Promise<Map<string, string>> {
  const text = asString(await settled(redis.info()))
  const lines = text.split('\r\n').filter(line => line.includes(':'))
  return new Map(lines.map(line => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]))
}

type Info = ReadonlyMap<string, string>

/**
 * Checks that the server's settings allow the nodes to keep their promises. Returns warnings about unwise settings.
 * @throws {RedisSetupError} with a text that says what to change
 */
export async function checkServer(client: RedisClient, demands: Demands): Promise<string[]> {
  const advice = await Promise.all(
    primariesOf(client).map(primary => checkPrimary(primary, demands, isCluster(client))),
  )
  return [...new Set(advice.flat())]
}

async function checkPrimary(redis: Redis, demands: Demands, isOfCluster: boolean): Promise<string[]> {
  const info = await readInfo(redis)
  for (const refused of [refusedVersion, refusedRole, refusedPolicy, refusedReplicas, refusedLog]) {
    const why = refused(info, demands)
    if (why) throw new RedisSetupError(`REDIS_URL: ${why}`)
  }
  if (!isOfCluster && info.get('cluster_enabled') === '1') {
    throw new RedisSetupError(
      'REDIS_URL: this server is part of a Redis Cluster; use redis+cluster:// and list some of its servers',
    )
  }
  return isAppendOnly(info) ? [] : [`${withoutLog}; ${change}`]
}

function refusedVersion(info: Info): string | false {
  const version = info.get('redis_version') ?? ''
  const isOld = !(Number.parseInt(version, 10) >= minVersion)
  return isOld && `Redis ${version} is too old; version ${minVersion} or later is needed`
}

function refusedRole(info: Info): string | false {
  return info.get('role') === 'slave' && 'this server is a replica, which accepts no writes; use the URL of its primary'
}

function refusedPolicy(info: Info): string | false {
  const policy = info.get('maxmemory_policy') ?? ''
  if (policy === 'noeviction') return false
  return `maxmemory-policy is ${policy} and would evict mail; run: redis-cli config set maxmemory-policy noeviction`
}

/** A primary must not accept writes without a replica. `INFO` has the field only if `min-replicas-to-write` is set. */
function refusedReplicas(info: Info, { durability }: Demands): string | false {
  if (durability === 'standard' || info.has('min_slaves_good_slaves')) return false
  return (
    'DURABILITY is strict, and this primary would accept writes without a replica; ' +
    'run: redis-cli config set min-replicas-to-write 1, and the same on its replicas'
  )
}

const isAppendOnly = (info: Info): boolean => info.get('aof_enabled') === '1'

const withoutLog = 'appendonly is off: writes after the last snapshot are lost when Redis ends'
const change = 'run: redis-cli config set appendonly yes, and write it into redis.conf'

function refusedLog(info: Info, { appendOnly }: Demands): string | false {
  if (appendOnly === 'optional' || isAppendOnly(info)) return false
  return `${withoutLog}; ${change}. If that is not possible and mail may be lost, set REDIS_APPENDONLY=optional`
}

/**
 * Sets the key unless it exists, and returns its value. It reads first, because a Redis that is full refuses every
 * write, even one that changes nothing.
 */
export async function makeOnce(redis: RedisClient, key: string, value: string): Promise<string | null> {
  const found = await redis.get(key)
  if (found !== null) return found
  await redis.set(key, value, 'NX')
  return redis.get(key)
}
