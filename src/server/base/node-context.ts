import type { Releases } from '../delivery/claim-releases.ts'
import type { Listeners } from '../delivery/notice-router.ts'
import type { SendBatch } from '../delivery/send-batch.ts'
import type { Round } from '../delivery/shared-delay.ts'
import type { Rota } from '../delivery/shared-interval.ts'
import type { Admission } from '../rate-limits/admission.ts'
import type { Rates } from '../rate-limits/local-rates.ts'
import type { Allowances } from '../rate-limits/user-rates.ts'
import type { Connections } from '../socket/connection-registry.ts'
import type { Store } from '../store/store.ts'
import type { Clock } from './clock.ts'
import type { Config } from './config.ts'
import type { Logger } from './logger.ts'
import type { Metrics } from './metrics.ts'

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
