import { RedisSetupError } from './check-server.ts'
import { schemaKey } from './keys.ts'
import type { RedisClient } from './redis-client.ts'
import { asNumber } from './reply.ts'
import { scripts } from './script.ts'

/**
 * Schema versions of the keys in `keys.ts` and their values: the version that a release writes, and the oldest and
 * newest that it reads. A release that changes the schema first only reads the new version; the next release writes
 * it. So two consecutive releases can run at the same time, and either can be rolled back.
 */
export type Schema = { readonly oldest: number; readonly writes: number; readonly newest: number }

export const ownSchema: Schema = { oldest: 1, writes: 1, newest: 1 }

/**
 * Raises the schema version in Redis to the one this release writes.
 * @throws {RedisSetupError} if this release cannot read it
 */
export async function agreeOnSchema(redis: RedisClient, { oldest, writes, newest }: Schema): Promise<void> {
  const found = asNumber(await scripts.agreeOnSchema.run(redis, [schemaKey], [oldest, writes, newest]))
  if (found >= oldest && found <= newest) return
  const known = oldest === newest ? `${oldest}` : `${oldest} to ${newest}`
  const advice = found > newest ? 'run the version that wrote it' : 'run the version in between first'
  throw new RedisSetupError(
    `REDIS_URL: this Redis holds data of schema ${found}, and this version knows ${known}; ${advice}, or use another Redis`,
  )
}
