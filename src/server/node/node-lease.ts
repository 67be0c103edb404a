import { limits } from '../../protocol/limits.ts'
import type { Timer } from '../../util/timer.ts'
import { StoreUnavailableError } from '../store/store.ts'
import type { NodeContext } from './node-context.ts'

/**
 * Interval of cleaning up after dead nodes and of sweeping expired mail, ms. Jitter adds up to a fifth, to spread the
 * nodes.
 */
const cleanUpMs = 30_000

/**
 * Delay before a failed renewal is retried, ms. Short, so that a store that is back only briefly still renews the
 * lease.
 */
const retryMs = 500

/** Interval of the check for stalls of this process, ms. */
const watchMs = 500
/** The longest stall after which the node keeps its claims, ms. The other half of the lease remains for a renewal. */
const maxStallMs = limits.leaseMs / 2

/**
 * Renews this node's lease. When the lease is lost, the node drops all its claims, whether Redis was out of reach or
 * this process stalled. A node that slept detects this by its own clock before it does anything else.
 */
export class NodeLease {
  readonly #node: NodeContext
  readonly #onLost: () => void
  #renewedAt: number
  #isLost = false
  #isOver = false
  #renewing = false
  readonly #timers: { renew?: Timer; cleanUp?: Timer; watch?: Timer } = {}

  /** `onLost` must drop all claims of this node. */
  constructor(node: NodeContext, onLost: () => void) {
    this.#node = node
    this.#onLost = onLost
    this.#renewedAt = node.clock.elapsed()
  }

  /** Acquires the lease and starts the timers. @throws {StoreUnavailableError} */
  async start(): Promise<void> {
    await this.#renewOnce()
    this.#scheduleRenewal()
    this.#scheduleCleanUp()
    this.#scheduleWatch()
  }

  stop(): void {
    this.#isOver = true
    for (const timer of Object.values(this.#timers)) timer.cancel()
  }

  #scheduleRenewal(ms: number = limits.renewMs): void {
    if (this.#isOver) return
    this.#timers.renew = this.#node.clock.after(ms, async () => {
      const isRenewed = await this.#renew()
      this.#scheduleRenewal(isRenewed ? limits.renewMs : retryMs)
    })
  }

  #scheduleWatch(): void {
    if (this.#isOver) return
    const expectedAt = this.#node.clock.elapsed() + watchMs
    this.#timers.watch = this.#node.clock.after(watchMs, () => {
      this.#checkStall(expectedAt)
      this.#checkLease()
      this.#scheduleWatch()
    })
  }

  /**
   * After a stall of half a lease, the node drops its claims: the agents served here are better off at another node.
   */
  #checkStall(expectedAt: number): void {
    const stalledMs = this.#node.clock.elapsed() - expectedAt
    if (stalledMs < maxStallMs) return
    this.#node.store.nodes.doubtLease()
    this.#lose('stood still', { stalledMs: Math.round(stalledMs) })
    void this.#renew()
  }

  /** Counts from the request of the last renewal: the lease did not begin earlier. */
  #checkLease(): void {
    const hasEnded = this.#node.clock.elapsed() - this.#renewedAt >= limits.leaseMs
    if (hasEnded && !this.#isLost) this.#lose('ran out')
  }

  #lose(why: 'ran out' | 'lapsed' | 'stood still', facts: { stalledMs?: number } = {}): void {
    this.#isLost = true
    this.#node.log.warn({ why, ...facts }, 'the lease was lost: the node drops its claims')
    this.#node.metrics.leasesLost.inc({ why })
    this.#onLost()
  }

  /** Returns true if the lease was renewed. */
  async #renew(): Promise<boolean> {
    if (this.#renewing) return false
    this.#renewing = true
    try {
      await this.#renewOnce()
      await this.#node.claimReleases.retry()
      return true
    } catch (error) {
      if (!(error instanceof StoreUnavailableError)) this.#node.log.error({ err: error }, 'renewal failed')
      return false
    } finally {
      this.#renewing = false
    }
  }

  async #renewOnce(): Promise<void> {
    const askedAt = this.#node.clock.elapsed()
    const state = await this.#node.store.nodes.renewLease()
    // This process's clock did not show it: the machine slept, or the clock of Redis was set forward.
    if (state === 'lapsed' && !this.#isLost) this.#lose('lapsed')
    this.#renewedAt = askedAt
    this.#isLost = false
  }

  #scheduleCleanUp(): void {
    if (this.#isOver) return
    const ms = cleanUpMs * (1 + this.#node.random() / 5)
    this.#timers.cleanUp = this.#node.clock.after(ms, () => void this.#cleanUp())
  }

  async #cleanUp(): Promise<void> {
    try {
      await this.#node.store.nodes.cleanUpDead()
      await this.#node.store.sweep()
    } catch (error) {
      if (!(error instanceof StoreUnavailableError)) this.#node.log.error({ err: error }, 'clean-up failed')
    } finally {
      this.#scheduleCleanUp()
    }
  }
}
