import { limits } from '../../protocol/limits.ts'
import { type Clock, systemClock } from '../base/clock.ts'
import type { Config } from '../base/config.ts'
import type { Logger } from '../base/logger.ts'
import { openMetrics } from '../base/metrics.ts'
import { RefusedOrigins } from '../base/refused-origins.ts'
import { ClaimReleases } from '../delivery/claim-releases.ts'
import { NoticeRouter } from '../delivery/notice-router.ts'
import { SendBatch } from '../delivery/send-batch.ts'
import { SharedDelay } from '../delivery/shared-delay.ts'
import { SharedInterval } from '../delivery/shared-interval.ts'
import { Admission } from '../rate-limits/admission.ts'
import { LocalRates } from '../rate-limits/local-rates.ts'
import { UserRates } from '../rate-limits/user-rates.ts'
import type { Store } from '../store/store.ts'
import { ConnectionRegistry } from './connection-registry.ts'
import { LastSeen } from './last-seen.ts'
import type { NodeContext } from './node-context.ts'

/** Acknowledgements that arrive within this time share one call of the store, ms. */
const ackDelayMs = 5

/** Assembles the parts of a node. Nothing listens or runs yet; `drain` aborts when the node shuts down. */
export function createNode(
  config: Config,
  store: Store,
  log: Logger,
  drain: AbortSignal,
  clock: Clock = systemClock,
): NodeContext {
  const metrics = openMetrics()
  store.storage.onRefusal(why => metrics.storageRefused.inc({ why }))
  const admission = {
    perSecond: config.upgradesPerS,
    burst: limits.upgradesBurst,
    maxWaitMs: limits.maxUpgradeWaitMs,
    maxRetryS: limits.maxUpgradeRetryS,
  }
  return {
    config,
    store,
    log,
    clock,
    metrics,
    refusedOrigins: new RefusedOrigins(log),
    connections: new ConnectionRegistry(config),
    sends: new SendBatch(
      store.inboxes,
      error => log.error({ err: error }, 'an append failed'),
      items => metrics.batchItems.observe(items),
    ),
    acks: new SharedDelay(ackDelayMs, clock),
    inboxChecks: new SharedInterval(limits.deliveryCheckMs, clock),
    notices: new NoticeRouter(),
    claimReleases: new ClaimReleases(store.inboxes, log),
    lastSeen: new LastSeen(store.users, clock),
    addressRates: new LocalRates({ perSecond: limits.arrivalsPerS, burst: limits.arrivalsBurst }, clock),
    operatorRates: new LocalRates({ perSecond: limits.operatorCallsPerS, burst: limits.operatorCallsBurst }, clock),
    userRates: new UserRates(config, store.buckets, clock),
    upgradeAdmission: new Admission(admission, clock),
    loginAdmission: new Admission(admission, clock),
    random: Math.random,
    isDraining: () => drain.aborted,
  }
}
