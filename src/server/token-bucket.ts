import type { Clock } from './clock.ts'

export type Rate = { perSecond: number; burst: number }

/** Counts what comes against a rate. */
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

  /** Takes `cost`: 0 when there was enough, else seconds until there is. */
  take(cost = 1): number {
    this.#fill()
    if (this.#left < cost) return Math.max(1, Math.ceil((cost - this.#left) / this.#rate.perSecond))
    this.#left -= cost
    return 0
  }

  get isFull(): boolean {
    this.#fill()
    return this.#left >= this.#rate.burst
  }

  #fill(): void {
    const now = this.#clock.elapsed()
    const { burst, perSecond } = this.#rate
    this.#left = Math.min(burst, this.#left + ((now - this.#filledAt) / 1000) * perSecond)
    this.#filledAt = now
  }
}
