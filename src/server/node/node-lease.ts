import { limits } from '../../protocol/limits.ts'
import type { Timer } from '../../util/timer.ts'
import { StoreUnavailableError } from '../store/store.ts'
import type { NodeContext } from './node-context.ts'

/** How often the store is rid of what dead nodes left and of what is past its time, ms, plus up to a fifth so that nodes do not do it together. */
const cleanUpMs = 30_000

/** How soon a renewal that failed is tried again, ms: a store that comes back for a moment keeps the lease. */
const retryMs = 500

/** How often the node looks whether it stood still, ms, and for how long it may have, ms: half a lease later others may judge it. */
const watchMs = 500
const maxStallMs = limits.leaseMs / 2

/**
 * Keeps this node's lease. What was claimed under a lease that ran out is dropped, whether Redis was away or this process was: a node that
 * slept learns it from its own clock before it does anything else.
 */
export class NodeLease {
  readonly #node: NodeContext
  readonly #onLost: () => void
  #renewedAt: number
  #isLost = false
  #isOver = false
  #renewing = false
  readonly #timers: { renew?: Timer; cleanUp?: Timer; watch?: Timer } = {}

  /** `onLost`: what was claimed here is not this node's any more. */
  constructor(node: NodeContext, onLost: () => void) {
    this.#node = node
    this.#onLost = onLost
    this.#renewedAt = node.clock.elapsed()
  }

  /** Takes the lease. @throws {StoreUnavailableError} */
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

  /** A node that stood still for half a lease serves nobody meanwhile: its agents do better elsewhere. */
  #checkStall(expectedAt: number): void {
    const stalledMs = this.#node.clock.elapsed() - expectedAt
    if (stalledMs < maxStallMs) return
    this.#node.store.nodes.doubtLease()
    this.#lose('stood still', { stalledMs: Math.round(stalledMs) })
    void this.#renew()
  }

  /** The lease began no later than its renewal was asked for. */
  #checkLease(): void {
    const hasEnded = this.#node.clock.elapsed() - this.#renewedAt >= limits.leaseMs
    if (hasEnded && !this.#isLost) this.#lose('ran out')
  }

  #lose(why: 'ran out' | 'lapsed' | 'stood still', facts: { stalledMs?: number } = {}): void {
    this.#isLost = true
    this.#node.log.warn({ why, ...facts }, 'the lease was lost; claims are dropped')
    this.#node.metrics.leasesLost.inc({ why })
    this.#onLost()
  }

  /** Whether the lease stands anew. */
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
    // By its own clock this process did not notice: the machine slept, or Redis' clock was set forward.
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
