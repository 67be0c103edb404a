import { createHash, randomBytes } from 'node:crypto'
import { makeOnce } from '../connection/check-server.ts'
import { saltKey, userKey } from '../connection/keys.ts'
import type { RedisClient } from '../connection/redis-client.ts'
import { settled } from '../connection/store-error.ts'

/** All users that one address registered: a hash of the address, or `~name` for a user without an address. */
export type Origin = string

/** Returns the salt of the hashes. All nodes of a deployment use the same one. */
export const readSalt = async (redis: RedisClient): Promise<string> =>
  (await settled(makeOnce(redis, saltKey, randomBytes(16).toString('base64url')))) ?? ''

/**
 * Hashes an address, so that a copy of Redis does not show it at once. Salt and hash are in the same Redis: with both,
 * all IPv4 addresses can be tried.
 */
export const hashAddress = (salt: string, address: string): string =>
  address === '' ? '' : createHash('sha256').update(`${salt} ${address}`).digest('base64url').slice(0, 16)

/** Reads the origin of a user. */
export async function readOrigin(redis: RedisClient, username: string): Promise<Origin> {
  return (await settled(redis.hget(userKey(username), 'origin'))) || `~${username}`
}
