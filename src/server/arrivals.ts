import { ProtocolError } from '../protocol/errors.ts'
import type { Clock } from './clock.ts'
import { TokenBucket } from './token-bucket.ts'

/** Logins and upgrades a second from one address: a thousand agents behind one proxy come back at once; a flood costs signatures. */
const arrivalRate = { perSecond: 100, burst: 2_000 }
/** Addresses that are remembered before the quiet ones are forgotten. */
const maxAddresses = 10_000

/** What comes from one address before anybody has said who they are. */
export class Arrivals {
  readonly #clock: Clock
  readonly #buckets = new Map<string, TokenBucket>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Counts one arrival. @throws {ProtocolError} `rate_limited` */
  check(address: string): void {
    const bucket = this.#buckets.get(address) ?? new TokenBucket(arrivalRate, this.#clock)
    if (this.#buckets.size >= maxAddresses) this.#forgetQuiet()
    this.#buckets.set(address, bucket)
    const retryAfter = bucket.take()
    if (retryAfter > 0) throw new ProtocolError('rate_limited', 'too many logins from this address', { retryAfter })
  }

  #forgetQuiet(): void {
    for (const [address, bucket] of this.#buckets) if (bucket.isFull) this.#buckets.delete(address)
  }
}
