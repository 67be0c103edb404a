import type { Clock } from '../base/clock.ts'

/**
 * Delays work and runs it together: with one timer, in one turn of the event loop, so that store calls can be batched.
 */
export class SharedDelay {
  readonly #ms: number
  readonly #clock: Pick<Clock, 'after'>
  #joined = new Set<() => void>()

  constructor(ms: number, clock: Pick<Clock, 'after'>) {
    this.#ms = ms
    this.#clock = clock
  }

  /** Runs `run` once within `ms`, even if it joins several times until then. `run` must not throw. */
  join(run: () => void): void {
    if (this.#joined.size === 0) this.#clock.after(this.#ms, () => this.#runAll())
    this.#joined.add(run)
  }

  leave(run: () => void): void {
    this.#joined.delete(run)
  }

  #runAll(): void {
    const joined = this.#joined
    this.#joined = new Set()
    for (const run of joined) run()
  }
}
