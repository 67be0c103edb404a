import { limits } from '../protocol/limits.ts'
import type { Timer } from './clock.ts'
import type { RelayNode } from './relay-node.ts'
import { StoreUnavailableError } from './store/store.ts'

/** How often the indexes are rid of what dead nodes left, ms, plus up to a fifth so that nodes do not do it together. */
const cleanUpMs = 30_000

/**
 * Keeps this node's lease. What was claimed under a lease that ran out is dropped, whether Redis was away or this process was: a node that
 * slept learns it from its own clock before it does anything else.
 */
export class Presence {
  readonly #node: RelayNode
  #renewedAt: number
  #isLost = false
  #isOver = false
  #renewing = false
  readonly #timers: { renew?: Timer; cleanUp?: Timer } = {}

  constructor(node: RelayNode) {
    this.#node = node
    this.#renewedAt = node.clock.elapsed()
  }

  /** Takes the lease. @throws {StoreUnavailableError} */
  async start(): Promise<void> {
    await this.#renewOnce()
    this.#scheduleRenewal()
    this.#scheduleCleanUp()
  }

  stop(): void {
    this.#isOver = true
    this.#timers.renew?.cancel()
    this.#timers.cleanUp?.cancel()
  }

  #scheduleRenewal(): void {
    if (this.#isOver) return
    this.#timers.renew = this.#node.clock.after(limits.renewMs, () => {
      this.#checkLease()
      this.#scheduleRenewal()
      if (!this.#renewing) void this.#renew()
    })
  }

  /** The lease began no later than its renewal was asked for. */
  #checkLease(): void {
    const isLost = this.#node.clock.elapsed() - this.#renewedAt >= limits.leaseMs
    if (isLost && !this.#isLost) {
      this.#node.log.warn('the lease ran out; claims are dropped')
      this.#node.listeners.notify({ kind: 'lease-lost' })
    }
    this.#isLost = isLost
  }

  async #renew(): Promise<void> {
    this.#renewing = true
    try {
      await this.#renewOnce()
      await this.#node.releases.retry()
    } catch (error) {
      if (!(error instanceof StoreUnavailableError)) this.#node.log.error({ err: error }, 'renewal failed')
    } finally {
      this.#renewing = false
    }
  }

  async #renewOnce(): Promise<void> {
    const askedAt = this.#node.clock.elapsed()
    await this.#node.store.renewLease()
    this.#renewedAt = askedAt
  }

  #scheduleCleanUp(): void {
    if (this.#isOver) return
    const ms = cleanUpMs * (1 + this.#node.random() / 5)
    this.#timers.cleanUp = this.#node.clock.after(ms, () => void this.#cleanUp())
  }

  async #cleanUp(): Promise<void> {
    try {
      await this.#node.store.cleanUpDeadNodes()
    } catch (error) {
      if (!(error instanceof StoreUnavailableError)) this.#node.log.error({ err: error }, 'clean-up failed')
    } finally {
      this.#scheduleCleanUp()
    }
  }
}
