import { RecentMap } from '../../util/recent-map.ts'
import { widerNetworks } from '../base/address-key.ts'
import type { Clock } from '../base/clock.ts'
import { rateLimited } from '../base/to-protocol-error.ts'
import type { Rate } from '../store/store.ts'
import { TokenBucket } from './token-bucket.ts'

/** The most keys to remember. The key unused for longest is dropped first; its next use gets a full bucket. */
const maxKeys = 10_000

/** Limits calls to this node by address. The wider networks of an IPv6 address have larger buckets of their own. */
export class LocalRates {
  readonly #buckets = new RecentMap<string, TokenBucket>(maxKeys)
  readonly #make: (times: number) => TokenBucket

  constructor(rate: Rate, clock: Clock) {
    this.#make = times => new TokenBucket({ perSecond: rate.perSecond * times, burst: rate.burst * times }, clock)
  }

  /** @throws {ProtocolError} `rate_limited` */
  spend(key: string, cost = 1): void {
    for (const { key: network, times } of [{ key, times: 1 }, ...widerNetworks(key)]) {
      const waitMs = this.#buckets.take(network, () => this.#make(times)).take(cost)
      if (waitMs > 0) throw rateLimited('too many requests', waitMs)
    }
  }
}
