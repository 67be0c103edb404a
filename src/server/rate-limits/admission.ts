import type { ProtocolError } from '../../protocol/errors.ts'
import { defer } from '../../util/deferred.ts'
import type { Timer } from '../../util/timer.ts'
import type { Clock } from '../base/clock.ts'
import { unavailable } from '../base/to-protocol-error.ts'
import type { Rate } from '../store/store.ts'
import { TokenBucket } from './token-bucket.ts'

/** One who wants to be let in: exactly one of the two is called, unless it leaves before. */
export type Arrival = {
  admit(): void
  /** `unavailable`: when to come again. */
  refuse(error: ProtocolError): void
}

type AdmissionOptions = Rate & {
  /** Who would wait longer is told to come again, ms. */
  maxWaitMs: number
  /** The latest time that anybody is told, s. */
  maxRetryS: number
}

/**
 * Lets connections in, or their logins, at a steady rate, those of each address in the order they came and the addresses by turns:
 * thousands that come back at once leave those who are there their share of the node, and one address that opens many does not keep
 * others out.
 */
export class Admission {
  readonly #options: AdmissionOptions
  readonly #clock: Pick<Clock, 'elapsed' | 'after'>
  readonly #bucket: TokenBucket
  /** By address; whose turn is next comes first. */
  readonly #waiting = new Map<string, Arrival[]>()
  #size = 0
  #timer: Timer | undefined
  /** When the last one of those who were told to come again is expected, by the clock's `elapsed`. */
  #expectedUntil = 0
  #hasEnded = false

  constructor(options: AdmissionOptions, clock: Pick<Clock, 'elapsed' | 'after'>) {
    this.#options = options
    this.#clock = clock
    this.#bucket = new TokenBucket(options, clock)
  }

  /** How many wait. */
  get size(): number {
    return this.#size
  }

  /** Admits at once where nobody waits and the rate allows it. Where too many wait, the last one of the address with most of them is refused. */
  enter(address: string, arrival: Arrival): void {
    if (this.#hasEnded) return arrival.refuse(unavailable('the node is shutting down'))
    if (this.#size === 0) {
      const waitMs = this.#bucket.take()
      if (waitMs === 0) return arrival.admit()
      this.#timer ??= this.#clock.after(waitMs, () => this.#turn())
    }
    this.#wait(address, arrival)
    const { perSecond, maxWaitMs } = this.#options
    if (this.#size > (perSecond * maxWaitMs) / 1_000) this.#refuseOne()
  }

  /** The same for one who stays until it is its turn. @throws {ProtocolError} `unavailable`: when to come again. */
  turn(address: string): Promise<void> {
    const { promise, resolve, reject } = defer<void>()
    this.enter(address, { admit: resolve, refuse: reject })
    return promise
  }

  #wait(address: string, arrival: Arrival): void {
    const others = this.#waiting.get(address)
    if (others) others.push(arrival)
    else this.#waiting.set(address, [arrival])
    this.#size += 1
  }

  /** It does not wait any more. */
  leave(address: string, arrival: Arrival): void {
    const others = this.#waiting.get(address) ?? []
    const at = others.indexOf(arrival)
    if (at < 0) return
    others.splice(at, 1)
    if (others.length === 0) this.#waiting.delete(address)
    this.#size -= 1
  }

  /** Refuses all who wait, and whoever comes. */
  end(): void {
    this.#hasEnded = true
    this.#timer?.cancel()
    const waiting = [...this.#waiting.values()].flat()
    this.#waiting.clear()
    this.#size = 0
    for (const arrival of waiting) arrival.refuse(unavailable('the node is shutting down'))
  }

  /** One at a time: what follows of it is done before the next one, who may be one too many by then. */
  #turn(): void {
    this.#timer = undefined
    if (this.#size === 0) return
    const waitMs = this.#bucket.take()
    if (waitMs === 0) this.#next()?.admit()
    if (this.#size > 0) this.#timer ??= this.#clock.after(waitMs, () => this.#turn())
  }

  /** Takes the first one of the address whose turn it is, which goes behind the others. */
  #next(): Arrival | undefined {
    const [first] = this.#waiting
    if (!first) return undefined
    const [address, arrivals] = first
    const next = arrivals.shift()
    this.#waiting.delete(address)
    if (arrivals.length > 0) this.#waiting.set(address, arrivals)
    this.#size -= 1
    return next
  }

  #refuseOne(): void {
    let longest: [string, Arrival[]] | undefined
    for (const entry of this.#waiting) {
      if (entry[1].length > (longest?.[1].length ?? 0)) longest = entry
    }
    const [address, arrivals] = longest ?? []
    const last = arrivals?.at(-1)
    if (address === undefined || last === undefined) return
    this.leave(address, last)
    last.refuse(unavailable('too many connect to this node at once', this.#retryAfter()))
  }

  /** Those who are told to come again are expected one after the other, behind those who wait. */
  #retryAfter(): number {
    const { perSecond, maxWaitMs, maxRetryS } = this.#options
    const now = this.#clock.elapsed()
    this.#expectedUntil = Math.max(this.#expectedUntil, now + maxWaitMs) + 1_000 / perSecond
    this.#expectedUntil = Math.min(this.#expectedUntil, now + maxRetryS * 1_000)
    return Math.ceil((this.#expectedUntil - now) / 1_000)
  }
}
