import { limits } from '../../protocol/limits.ts'

type Pushed = { seq: number; bytes: number }

/** Envelopes pushed on a connection and not acknowledged: at most 256, or 1 MiB (PROTOCOL.md section 7). */
export class PushWindow {
  #unacked: Pushed[] = []
  #first = 0
  #bytes = 0
  #lastPushed = 0
  #lastAcked = 0

  /** The last `seq` pushed on this connection; 0 before the first. */
  get lastPushed(): number {
    return this.#lastPushed
  }

  get lastAcked(): number {
    return this.#lastAcked
  }

  get size(): number {
    return this.#unacked.length - this.#first
  }

  /**
   * The most that the next read may return. `maxBytes` is at least 1: the store returns one envelope whatever its size.
   */
  get room(): { maxItems: number; maxBytes: number } {
    return { maxItems: limits.maxUnacked - this.size, maxBytes: Math.max(limits.maxUnackedBytes - this.#bytes, 1) }
  }

  /** True if a quarter of the window is free. Paused pushing resumes then, so that the next read returns enough. */
  get isWide(): boolean {
    return this.size * 4 <= limits.maxUnacked * 3 && this.#bytes * 4 <= limits.maxUnackedBytes * 3
  }

  fits(bytes: number): boolean {
    return this.size < limits.maxUnacked && (this.size === 0 || this.#bytes + bytes <= limits.maxUnackedBytes)
  }

  push(seq: number, bytes: number): void {
    this.#unacked.push({ seq, bytes })
    this.#bytes += bytes
    this.#lastPushed = seq
  }

  /** Frees everything up to `seq`. Returns false if `seq` was acknowledged before. */
  ack(seq: number): boolean {
    if (seq <= this.#lastAcked) return false
    this.#lastAcked = seq
    for (let next = this.#unacked[this.#first]; next && next.seq <= seq; next = this.#unacked[this.#first]) {
      this.#bytes -= next.bytes
      this.#first += 1
    }
    this.#forgetFreed()
    return true
  }

  /** Cuts off the freed part once it is half of the array. Amortised O(1); `shift` would copy the array each time. */
  #forgetFreed(): void {
    if (this.#first * 2 < this.#unacked.length) return
    this.#unacked = this.#unacked.slice(this.#first)
    this.#first = 0
  }
}
