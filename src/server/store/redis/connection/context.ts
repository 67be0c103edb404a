import type { NodeId, Notice, StoreOptions } from '../../store.ts'
import type { Leases } from '../nodes/leases.ts'
import type { Locks } from '../nodes/locks.ts'
import type { RedisClient } from './redis-client.ts'
import type { Keep } from './replication.ts'

/** What the parts of the engine share. */
export type RedisContext = {
  readonly redis: RedisClient
  readonly options: StoreOptions
  readonly leases: Leases
  readonly locks: Locks
  readonly keep: Keep
  /** Tells a node, in time or never. */
  tell(node: NodeId, notices: readonly Notice[]): void
}
