import { RedisSetupError } from './check-server.ts'
import { domainKey } from './keys.ts'
import type { RedisClient } from './redis-client.ts'
import { asString } from './reply.ts'
import { scripts } from './script.ts'

/**
 * Records the domain of the deployment in Redis. Names, logins and addresses belong to one domain, so nodes of two
 * domains must not share a Redis. A Redis of an earlier release has no domain yet, and takes that of the first node.
 * @throws {RedisSetupError} if Redis holds the data of another domain
 */
export async function claimDomain(redis: RedisClient, domain: string): Promise<void> {
  const found = asString(await scripts.claimDomain.run(redis, [domainKey], [domain]))
  if (found === domain) return
  throw new RedisSetupError(
    `DOMAIN is ${domain}, but this Redis holds the data of ${found}; set DOMAIN=${found}, or use another Redis or database. ` +
      `To rename the deployment for good, stop all nodes and run: redis-cli del ${domainKey}`,
  )
}
