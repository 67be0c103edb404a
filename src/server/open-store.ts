import { randomUUID } from 'node:crypto'
import type { Config } from './base/config.ts'
import type { Logger } from './base/logger.ts'
import { openMemoryStore } from './store/memory/memory-store.ts'
import { openRedisStore } from './store/redis/redis-store.ts'
import type { Store, StoreOptions } from './store/store.ts'

/** Opens the engine that the configuration names. */
export async function openStore(config: Config, log: Logger): Promise<Store> {
  const options = storeOptions(config)
  if (config.store.kind === 'redis') {
    const { url, durability, appendOnly } = config.store
    return openRedisStore(options, {
      url,
      durability,
      appendOnly,
      domain: config.domain,
      warn: message => log.warn(message),
      // The level that every LOG_LEVEL but "silent" shows.
      outage: message => log.fatal(message),
    })
  }
  log.warn(
    'the store is in memory: for one node only, and lost when it ends; set REDIS_URL for a shared, durable store',
  )
  return openMemoryStore(options)
}

/** Each call generates a new node id, so that a new process never continues the claims of a dead one. */
export const storeOptions = (config: Config): StoreOptions => ({
  nodeId: randomUUID(),
  inboxMaxMessages: config.inboxMaxMessages,
  inboxMaxBytes: config.inboxMaxBytes,
  senderMaxBytes: config.senderMaxBytes,
  addressMaxBytes: config.addressMaxBytes,
  dedupeWindowS: config.dedupeWindowMs / 1000,
  messageTtlS: config.messageTtlMs / 1000,
})
