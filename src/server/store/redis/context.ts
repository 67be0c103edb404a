import type { Redis } from 'ioredis'
import type { NodeId, Notice, StoreOptions } from '../store.ts'
import type { Leases } from './leases.ts'

/** What the parts of the engine share. */
export type RedisContext = {
  readonly redis: Redis
  readonly options: StoreOptions
  readonly leases: Leases
  /** Tells a node, in time or never. */
  tell(node: NodeId, notices: readonly Notice[]): void
}
