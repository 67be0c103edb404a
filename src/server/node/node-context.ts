import type { Clock } from '../base/clock.ts'
import type { Config } from '../base/config.ts'
import type { Logger } from '../base/logger.ts'
import type { Metrics } from '../base/metrics.ts'
import type { RefusedOrigins } from '../base/refused-origins.ts'
import type { ClaimReleases } from '../delivery/claim-releases.ts'
import type { NoticeRouter } from '../delivery/notice-router.ts'
import type { SendBatch } from '../delivery/send-batch.ts'
import type { SharedDelay } from '../delivery/shared-delay.ts'
import type { SharedInterval } from '../delivery/shared-interval.ts'
import type { Admission } from '../rate-limits/admission.ts'
import type { LocalRates } from '../rate-limits/local-rates.ts'
import type { UserRates } from '../rate-limits/user-rates.ts'
import type { Store } from '../store/store.ts'
import type { ConnectionRegistry } from './connection-registry.ts'
import type { LastSeen } from './last-seen.ts'

/** One running node: the parts that its connections, HTTP routes and operations share. */
export type NodeContext = {
  readonly config: Config
  readonly store: Store
  readonly log: Logger
  readonly clock: Clock
  readonly metrics: Metrics
  readonly refusedOrigins: RefusedOrigins
  readonly connections: ConnectionRegistry
  readonly sends: SendBatch
  /** Joins the acknowledgements of all connections. */
  readonly acks: SharedDelay
  /** The periodic check of every inbox that a connection listens on. */
  readonly inboxChecks: SharedInterval
  readonly notices: NoticeRouter
  readonly claimReleases: ClaimReleases
  readonly lastSeen: LastSeen
  /** Limits upgrades and HTTP logins by IP address. */
  readonly addressRates: LocalRates
  /** Limits calls of the operator's routes by IP address. */
  readonly operatorRates: LocalRates
  /** Limits users over all nodes. */
  readonly userRates: UserRates
  /** Queues upgrades from all addresses. */
  readonly upgradeAdmission: Admission
  /**
   * Queues logins on sockets. A login costs more than an upgrade, and many admitted sockets may log in at the same
   * time.
   */
  readonly loginAdmission: Admission
  /** Returns a number from 0 to 1, for jitter. */
  random(): number
  /** Returns true once the node shuts down: it starts nothing new. */
  isDraining(): boolean
}
