import { limits } from '../../protocol/limits.ts'
import type { Clock } from '../base/clock.ts'
import { type Lease, type LeaseRequest, type Rate, StoreUnavailableError } from '../store/store.ts'
import type { BucketRule } from './rate-table.ts'
import { TokenBucket } from './token-bucket.ts'

/** Ms until there are enough tokens; 0 means taken. A promise while the node asks the store. */
export type Wait = number | Promise<number>

/** A rule of the rate table, as a node applies it. */
export type LeaseRule = {
  rate: Rate
  /** The rate that this node allows without asking the store. */
  uncounted: Rate
  /** Tokens per lease; below `refillBelow` the node asks for the next lease. */
  block: number
  refillBelow: number
  away: BucketRule['away']
}

/**
 * How long a node uses its own bucket before it asks an unreachable store again, ms. No frame waits for that answer.
 */
const awayMs = 1_000

export function toLeaseRule({ counting, away }: Pick<BucketRule, 'counting' | 'away'>, rate: Rate): LeaseRule {
  if (counting === 'each') return { rate, uncounted: { perSecond: 0, burst: 0 }, block: 1, refillBelow: 0, away }
  const { uncountedShare, leaseShare } = limits
  const uncounted = { perSecond: rate.perSecond * uncountedShare, burst: rate.burst * uncountedShare }
  const block = Math.ceil(rate.burst * leaseShare)
  return { rate, uncounted, block, refillBelow: block / 2, away }
}

/**
 * This node's part of a bucket that all nodes share. It leases tokens in blocks, and asks for the next block before the
 * last is spent, so that a frame waits for the store only in a burst. All nodes together allow at most the rate and its
 * burst, plus the uncounted part and one block for each node.
 */
export class LeasedBucket {
  readonly #rule: LeaseRule
  readonly #clock: Pick<Clock, 'elapsed'>
  readonly #uncounted: TokenBucket
  readonly #ask: (rate: Rate, request: LeaseRequest) => Promise<Lease>
  #held = 0
  /** The store has no tokens before this time, by `Clock.elapsed`. */
  #emptyUntil = 0
  #leasing: Promise<void> | undefined
  #alone: { until: number; bucket: TokenBucket } | undefined

  constructor(
    rule: LeaseRule,
    clock: Pick<Clock, 'elapsed'>,
    ask: (rate: Rate, request: LeaseRequest) => Promise<Lease>,
  ) {
    this.#rule = rule
    this.#clock = clock
    this.#ask = ask
    this.#uncounted = new TokenBucket(rule.uncounted, clock)
  }

  /** How long the store has no tokens, as far as this node knows, ms. */
  get emptyForMs(): number {
    return this.#held > 0 ? 0 : Math.max(0, Math.ceil(this.#emptyUntil - this.#clock.elapsed()))
  }

  /** Takes `cost` tokens, at most the burst. Rejects only if the store is out of reach and the rule is `shut`. */
  take(cost: number): Wait {
    if (this.#uncounted.take(cost) === 0) return 0
    const nowMs = this.#clock.elapsed()
    if (this.#alone) {
      if (nowMs >= this.#alone.until) this.#prefetch()
      return this.#alone.bucket.take(cost)
    }
    if (this.#held >= cost) {
      this.#held -= cost
      if (this.#held < this.#rule.refillBelow && nowMs >= this.#emptyUntil) this.#prefetch()
      return 0
    }
    if (nowMs < this.#emptyUntil) return Math.ceil(this.#emptyUntil - nowMs)
    return this.#takeLeased(cost)
  }

  async #takeLeased(cost: number): Promise<number> {
    await this.#lease(cost)
    return this.take(cost)
  }

  #prefetch(): void {
    this.#lease(1).catch(() => {})
  }

  /** Sends one request at a time to the store. */
  #lease(needed: number): Promise<void> {
    this.#leasing ??= this.#leaseNow(needed).finally(() => {
      this.#leasing = undefined
    })
    return this.#leasing
  }

  async #leaseNow(needed: number): Promise<void> {
    const { rate, block, away } = this.#rule
    try {
      const { granted, waitMs } = await this.#ask(rate, { wanted: Math.max(needed, block), needed })
      this.#alone = undefined
      this.#held += granted
      if (granted === 0) this.#emptyUntil = this.#clock.elapsed() + waitMs
    } catch (error) {
      if (away === 'shut' || !(error instanceof StoreUnavailableError)) throw error
      const bucket = this.#alone?.bucket ?? new TokenBucket(rate, this.#clock)
      this.#alone = { until: this.#clock.elapsed() + awayMs, bucket }
    }
  }
}
