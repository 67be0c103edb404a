import { limits } from '../../../../protocol/limits.ts'
import type { NodeId } from '../../ids.ts'

/** Milliseconds that only go forward. */
type Elapsed = () => number

/**
 * Which nodes are alive, as of this node's last renewal. A node that did not itself renew for a full lease without a gap judges nobody:
 * after a pause of Redis all of them look dead.
 */
export class Leases {
  readonly #own: NodeId
  readonly #elapsed: Elapsed
  #ends = new Map<NodeId, number>()
  /** Redis' clock ahead of ours, ms, and by how much at most: the answer that told was under way. */
  #ahead = 0
  #aheadAtMost = 0
  #renewedAt = Number.NEGATIVE_INFINITY
  #steadySince = Number.POSITIVE_INFINITY
  readonly #deaf = new Map<NodeId, number>()

  constructor(own: NodeId, elapsed: Elapsed = () => performance.now()) {
    this.#own = own
    this.#elapsed = elapsed
  }

  /** Takes over what a renewal that was asked for at `askedAt` answered. */
  renewed(askedAt: number, redisNow: number, ends: Map<NodeId, number>): void {
    if (askedAt - this.#renewedAt >= limits.leaseMs) this.#steadySince = askedAt
    this.#renewedAt = askedAt
    this.#ahead = redisNow - this.#elapsed()
    this.#aheadAtMost = redisNow - askedAt
    this.#ends = ends
    for (const [node, end] of this.#deaf) if ((ends.get(node) ?? 0) > end) this.#deaf.delete(node)
  }

  /** Whether there ever was a lease to lose. */
  get wasHeld(): boolean {
    return this.#steadySince !== Number.POSITIVE_INFINITY
  }

  /** Nothing is known of the own lease, nor judged of others, until the next renewal. */
  doubt(): void {
    this.#renewedAt = Number.NEGATIVE_INFINITY
  }

  /** Whether this node's own lease stands. */
  isHeld(): boolean {
    return this.#elapsed() - this.#renewedAt < limits.leaseMs
  }

  /** A node that nobody has seen is a new one: the claims of a dead one go before its name does. */
  isLive(node: NodeId): boolean {
    const end = this.#ends.get(node)
    if (node === this.#own || end === undefined || !this.#mayJudge()) return true
    return end > this.#redisNow()
  }

  /** Whether hints seem to reach it. */
  hears(node: NodeId): boolean {
    return this.isLive(node) && !this.#deaf.has(node)
  }

  /** A publish to it reached nobody: so it is until it renews. */
  heardNothing(node: NodeId): void {
    this.#deaf.set(node, this.#ends.get(node) ?? 0)
  }

  dead(): NodeId[] {
    return [...this.#ends.keys()].filter(node => !this.isLive(node))
  }

  /** What Redis' clock says now at the latest, ms since 1970. */
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
