import { RecentMap } from '../../util/recent-map.ts'
import type { Clock } from '../base/clock.ts'
import { rateLimited } from '../base/to-protocol-error.ts'
import type { Rate } from '../store/store.ts'
import { TokenBucket } from './token-bucket.ts'

/** The most keys to remember. The key unused for longest is dropped first; its next use gets a full bucket. */
const maxKeys = 10_000

/** Limits calls to this node by key, such as an IP address. */
export class LocalRates {
  readonly #buckets = new RecentMap<string, TokenBucket>(maxKeys)
  readonly #make: () => TokenBucket

  constructor(rate: Rate, clock: Clock) {
    this.#make = () => new TokenBucket(rate, clock)
  }

  /** @throws {ProtocolError} `rate_limited` */
  spend(key: string, cost = 1): void {
    const waitMs = this.#buckets.take(key, this.#make).take(cost)
    if (waitMs > 0) throw rateLimited('too many requests', waitMs)
  }
}
