import { limits } from '../../../../protocol/limits.ts'
import type { NodeId } from '../../ids.ts'

/** Returns monotonic milliseconds. */
type Elapsed = () => number

/**
 * Which nodes are alive, as of this node's last renewal. A node treats others as dead only after it has renewed its own
 * lease for a full lease period without a gap: after a pause of Redis, all leases look expired.
 */
export class Leases {
  readonly #own: NodeId
  readonly #elapsed: Elapsed
  #ends = new Map<NodeId, number>()
  /**
   * How far Redis' clock is ahead of ours, ms: at least, and at most (the time of the request in flight is uncertain).
   */
  #ahead = 0
  #aheadAtMost = 0
  #renewedAt = Number.NEGATIVE_INFINITY
  #steadySince = Number.POSITIVE_INFINITY
  readonly #unreachable = new Map<NodeId, number>()

  constructor(own: NodeId, elapsed: Elapsed = () => performance.now()) {
    this.#own = own
    this.#elapsed = elapsed
  }

  /** Applies the reply of a renewal that was sent at `askedAt`. */
  renewed(askedAt: number, redisNow: number, ends: Map<NodeId, number>): void {
    if (askedAt - this.#renewedAt >= limits.leaseMs) this.#steadySince = askedAt
    this.#renewedAt = askedAt
    this.#ahead = redisNow - this.#elapsed()
    this.#aheadAtMost = redisNow - askedAt
    this.#ends = ends
    for (const [node, end] of this.#unreachable) if ((ends.get(node) ?? 0) > end) this.#unreachable.delete(node)
  }

  /** True if this node has held a lease before. */
  get wasHeld(): boolean {
    return this.#steadySince !== Number.POSITIVE_INFINITY
  }

  /** Treats the own lease as unknown, and no other node as dead, until the next renewal. */
  doubt(): void {
    this.#renewedAt = Number.NEGATIVE_INFINITY
  }

  /** Returns true if this node's own lease has not expired. */
  isHeld(): boolean {
    return this.#elapsed() - this.#renewedAt < limits.leaseMs
  }

  /**
   * An unknown node counts as alive: it is new, because the claims of a dead node are released before its entry is
   * removed.
   */
  isLive(node: NodeId): boolean {
    const end = this.#ends.get(node)
    if (node === this.#own || end === undefined || !this.#mayJudge()) return true
    return end > this.#redisNow()
  }

  /** Returns true if hints seem to reach the node. */
  receivesHints(node: NodeId): boolean {
    return this.isLive(node) && !this.#unreachable.has(node)
  }

  /** Marks a node as unreachable by hints until it renews its lease, because a publish to it reached no subscriber. */
  markUnreachable(node: NodeId): void {
    this.#unreachable.set(node, this.#ends.get(node) ?? 0)
  }

  dead(): NodeId[] {
    return [...this.#ends.keys()].filter(node => !this.isLive(node))
  }

  /** Returns an upper bound of the current time on Redis' clock, ms since 1970. */
  latestRedisNow(): number {
    return Math.ceil(this.#elapsed() + this.#aheadAtMost)
  }

  #mayJudge(): boolean {
    return this.isHeld() && this.#elapsed() - this.#steadySince >= limits.leaseMs
  }

  #redisNow(): number {
    return this.#elapsed() + this.#ahead
  }
}
