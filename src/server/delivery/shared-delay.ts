import type { Clock } from '../base/clock.ts'

/** What many have to do soon, done for all of them together: one timer, and one turn of the event loop in which calls of the store can join. */
export class SharedDelay {
  readonly #ms: number
  readonly #clock: Pick<Clock, 'after'>
  #joined = new Set<() => void>()

  constructor(ms: number, clock: Pick<Clock, 'after'>) {
    this.#ms = ms
    this.#clock = clock
  }

  /** Runs it once, within `ms`, however often it joins until then. `run` must not throw. */
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
