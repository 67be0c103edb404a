import type { Redis } from 'ioredis'
import { isCluster, primariesOf, type RedisClient } from './redis-client.ts'
import { asString } from './reply.ts'
import { settled } from './store-error.ts'

const minVersion = 7

/** What is kept before it is told: on the primary, or on a replica as well. */
export type Durability = 'standard' | 'strict'
/** Whether a Redis without a log of its writes is taken. */
export type AppendOnly = 'required' | 'optional'
export type Demands = { durability: Durability; appendOnly: AppendOnly }

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

type Info = ReadonlyMap<string, string>

/**
 * Refuses a server that cannot keep what nodes promise. Returns what is merely unwise.
 * @throws {RedisSetupError} that says what to change
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
      'REDIS_URL: this server is part of a Redis Cluster; write redis+cluster:// and name some of its servers',
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
  return info.get('role') === 'slave' && 'this server is a replica, which takes no writes; name its primary'
}

function refusedPolicy(info: Info): string | false {
  const policy = info.get('maxmemory_policy') ?? ''
  if (policy === 'noeviction') return false
  return `maxmemory-policy is ${policy} and would throw mail away; run: redis-cli config set maxmemory-policy noeviction`
}

/** A primary without replicas must not go on by itself: the field is there where some are demanded. */
function refusedReplicas(info: Info, { durability }: Demands): string | false {
  if (durability === 'standard' || info.has('min_slaves_good_slaves')) return false
  return (
    'DURABILITY is strict, and this primary would take writes without a replica; ' +
    'run: redis-cli config set min-replicas-to-write 1, and the same on its replicas'
  )
}

const isAppendOnly = (info: Info): boolean => info.get('aof_enabled') === '1'

const withoutLog = 'appendonly is off: what came after the last snapshot is lost when Redis ends'
const change = 'run: redis-cli config set appendonly yes, and write it into redis.conf'

function refusedLog(info: Info, { appendOnly }: Demands): string | false {
  if (appendOnly === 'optional' || isAppendOnly(info)) return false
  return `${withoutLog}; ${change}. Where that cannot be had, and mail may be lost, set REDIS_APPENDONLY=optional`
}

/** What is there, or now is. A Redis that is full takes no write, not even one that changes nothing. */
export async function makeOnce(redis: RedisClient, key: string, value: string): Promise<string | null> {
  const found = await redis.get(key)
  if (found !== null) return found
  await redis.set(key, value, 'NX')
  return redis.get(key)
}
