import type { Clock } from '../base/clock.ts'
import type { Rate } from '../store/store.ts'

/** A token bucket in memory. */
export class TokenBucket {
  readonly #rate: Rate
  readonly #clock: Pick<Clock, 'elapsed'>
  #left: number
  #filledAt: number

  constructor(rate: Rate, clock: Pick<Clock, 'elapsed'>) {
    this.#rate = rate
    this.#clock = clock
    this.#left = rate.burst
    this.#filledAt = clock.elapsed()
  }

  /** Takes `cost` tokens and returns 0; if there are not enough, takes none and returns the ms until there are. */
  take(cost = 1): number {
    this.#fill()
    if (this.#left < cost) return Math.ceil(((cost - this.#left) * 1_000) / this.#rate.perSecond)
    this.#left -= cost
    return 0
  }

  #fill(): void {
    const now = this.#clock.elapsed()
    const { burst, perSecond } = this.#rate
    this.#left = Math.min(burst, this.#left + ((now - this.#filledAt) / 1000) * perSecond)
    this.#filledAt = now
  }
}
