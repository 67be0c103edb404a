import type { ProtocolError } from '../../protocol/errors.ts'
import { defer } from '../../util/deferred.ts'
import type { Timer } from '../../util/timer.ts'
import type { Clock } from '../base/clock.ts'
import { unavailable } from '../base/to-protocol-error.ts'
import type { Rate } from '../store/store.ts'
import { TokenBucket } from './token-bucket.ts'

/** A pending admission. Exactly one of `admit` or `refuse` is called, unless `leave` is called first. */
export type Arrival = {
  admit(): void
  /** `error` is `unavailable` with a time for the retry. */
  refuse(error: ProtocolError): void
}

type AdmissionOptions = Rate & {
  /** The longest wait, ms. An arrival that would wait longer is refused. */
  maxWaitMs: number
  /** The longest `retryAfter` of a refusal, s. */
  maxRetryS: number
}

/**
 * Admits upgrades or logins at a steady rate: round-robin over the addresses, first come first served within an
 * address. Thousands of clients that reconnect at once leave the node time for its other clients, and one address with
 * many connections does not keep other addresses out.
 */
export class Admission {
  readonly #options: AdmissionOptions
  readonly #clock: Pick<Clock, 'elapsed' | 'after'>
  readonly #bucket: TokenBucket
  /** By address, in the order of admission. */
  readonly #waiting = new Map<string, Arrival[]>()
  #size = 0
  #timer: Timer | undefined
  /** When the last refused client is expected to retry, by `Clock.elapsed`. */
  #expectedUntil = 0
  #hasEnded = false

  constructor(options: AdmissionOptions, clock: Pick<Clock, 'elapsed' | 'after'>) {
    this.#options = options
    this.#clock = clock
    this.#bucket = new TokenBucket(options, clock)
  }

  /** The number of arrivals that wait. */
  get size(): number {
    return this.#size
  }

  /**
   * Admits `arrival` at once if no other waits and the rate allows it. If too many wait, refuses the last arrival of
   * the address with the most of them.
   */
  enter(address: string, arrival: Arrival): void {
    if (this.#hasEnded) return arrival.refuse(unavailable('the node is shutting down'))
    if (this.#size === 0) {
      const waitMs = this.#bucket.take()
      if (waitMs === 0) return arrival.admit()
      this.#timer ??= this.#clock.after(waitMs, () => this.#admitNext())
    }
    this.#wait(address, arrival)
    const { perSecond, maxWaitMs } = this.#options
    if (this.#size > (perSecond * maxWaitMs) / 1_000) this.#refuseOne()
  }

  /** Resolves when admitted. @throws {ProtocolError} `unavailable` if refused */
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

  /** Removes an arrival that no longer waits. */
  leave(address: string, arrival: Arrival): void {
    const others = this.#waiting.get(address) ?? []
    const at = others.indexOf(arrival)
    if (at < 0) return
    others.splice(at, 1)
    if (others.length === 0) this.#waiting.delete(address)
    this.#size -= 1
  }

  /** Refuses all that wait and all later arrivals. */
  end(): void {
    this.#hasEnded = true
    this.#timer?.cancel()
    const waiting = [...this.#waiting.values()].flat()
    this.#waiting.clear()
    this.#size = 0
    for (const arrival of waiting) arrival.refuse(unavailable('the node is shutting down'))
  }

  /** Admits one arrival per timer, so that all effects of an admission take place before the next one. */
  #admitNext(): void {
    this.#timer = undefined
    if (this.#size === 0) return
    const waitMs = this.#bucket.take()
    if (waitMs === 0) this.#next()?.admit()
    if (this.#size > 0) this.#timer ??= this.#clock.after(waitMs, () => this.#admitNext())
  }

  /** Takes the first arrival of the first address, and moves this address behind the others. */
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
    last.refuse(unavailable('too many clients connect to this node', this.#retryAfter()))
  }

  /** Spreads the retries of refused clients at the admission rate, after the arrivals that wait now. */
  #retryAfter(): number {
    const { perSecond, maxWaitMs, maxRetryS } = this.#options
    const now = this.#clock.elapsed()
    this.#expectedUntil = Math.max(this.#expectedUntil, now + maxWaitMs) + 1_000 / perSecond
    this.#expectedUntil = Math.min(this.#expectedUntil, now + maxRetryS * 1_000)
    return Math.ceil((this.#expectedUntil - now) / 1_000)
  }
}
