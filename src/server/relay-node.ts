import type { Admission } from './admission.ts'
import type { Allowances } from './allowances.ts'
import type { Clock } from './clock.ts'
import type { Config } from './config.ts'
import type { Connections } from './connections.ts'
import type { Listeners } from './listeners.ts'
import type { Logger } from './logger.ts'
import type { Metrics } from './metrics.ts'
import type { Rates } from './rates.ts'
import type { Releases } from './releases.ts'
import type { Rota } from './rota.ts'
import type { Round } from './round.ts'
import type { SendBatch } from './send-batch.ts'
import type { Store } from './store/store.ts'

/** One running node: what its connections, HTTP routes and operations share. */
export type RelayNode = {
  readonly config: Config
  readonly store: Store
  readonly log: Logger
  readonly clock: Clock
  readonly sends: SendBatch
  readonly acks: Round
  readonly checks: Rota
  /** Logins and upgrades, by address. */
  readonly arrivals: Rates
  /** Upgrades, of all addresses. */
  readonly upgrades: Admission
  /** Logins on sockets, of all addresses: they cost more than upgrades, and many who were let in one by one may log in at once. */
  readonly logins: Admission
  /** Calls of the operator's routes, by address. */
  readonly operators: Rates
  /** What users may spend. */
  readonly allowances: Allowances
  readonly listeners: Listeners
  readonly connections: Connections
  readonly releases: Releases
  readonly metrics: Metrics
  /** From 0 to 1, for jitter. */
  random(): number
  /** Whether the node goes away: nothing new is begun. */
  isDraining(): boolean
}
