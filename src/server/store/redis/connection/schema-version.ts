import { RedisSetupError } from './check-server.ts'
import { schemaKey } from './keys.ts'
import type { RedisClient } from './redis-client.ts'
import { asNumber } from './reply.ts'
import { scripts } from './script.ts'

/**
 * Versions of everything in `keys.ts` and the scripts: what a release writes, and the oldest and the newest that it reads. A release that changes something
 * only learns to read it; the next one writes it. So two releases that follow each other work side by side, and either may be rolled back.
 */
export type Schema = { readonly oldest: number; readonly writes: number; readonly newest: number }

export const ownSchema: Schema = { oldest: 1, writes: 1, newest: 1 }

/** Says what is written from now on, if that is newer. @throws {RedisSetupError} where Redis holds what this release does not read */
export async function agreeOnSchema(redis: RedisClient, { oldest, writes, newest }: Schema): Promise<void> {
  const found = asNumber(await scripts.agreeOnSchema.run(redis, [schemaKey], [oldest, writes, newest]))
  if (found >= oldest && found <= newest) return
  const known = oldest === newest ? `${oldest}` : `${oldest} to ${newest}`
  throw new RedisSetupError(
    `REDIS_URL: this Redis holds data of schema ${found}, and this version knows ${known}; ${found > newest ? 'run the version that wrote it' : 'run the version in between first'}, or use another Redis`,
  )
}
