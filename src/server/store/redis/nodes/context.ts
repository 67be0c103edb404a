import type { NodeId } from '../../ids.ts'
import type { Notice, StoreOptions } from '../../store.ts'
import type { RedisGeneration } from '../connection/generation.ts'
import type { RedisClient } from '../connection/redis-client.ts'
import type { WithDurability } from '../connection/replication.ts'
import type { StoredBytes } from '../stored/stored-bytes.ts'
import type { Leases } from './leases.ts'
import type { Locks } from './locks.ts'

/** What the parts of the Redis engine share. */
export type RedisContext = {
  readonly redis: RedisClient
  readonly options: StoreOptions
  readonly leases: Leases
  readonly locks: Locks
  readonly generation: RedisGeneration
  readonly withDurability: WithDurability
  readonly stored: StoredBytes
  /** Sends notices to a node, or to this one directly. They may be lost. */
  notify(node: NodeId, notices: readonly Notice[]): void
}
