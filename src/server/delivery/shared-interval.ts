import type { Timer } from '../../util/timer.ts'
import type { Clock } from '../base/clock.ts'

type Slot = { readonly runs: Set<() => void>; timer: Timer }

/** Work that joins within this time of each other runs together, ms. */
const slotMs = 250

/**
 * Repeats work at an interval. Work that joined at about the same time shares one timer and one turn of the event loop,
 * so that store calls can be batched.
 */
export class SharedInterval {
  readonly #everyMs: number
  readonly #clock: Pick<Clock, 'after' | 'elapsed'>
  readonly #slots = new Map<number, Slot>()

  constructor(everyMs: number, clock: Pick<Clock, 'after' | 'elapsed'>) {
    this.#everyMs = everyMs
    this.#clock = clock
  }

  /** Runs `run` at each interval until cancelled; the first run is one interval from now. `run` must not throw. */
  join(run: () => void): Timer {
    const phase = Math.floor((this.#clock.elapsed() % this.#everyMs) / slotMs)
    const slot = this.#slots.get(phase) ?? this.#open(phase)
    slot.runs.add(run)
    return {
      cancel: () => {
        if (slot.runs.delete(run) && slot.runs.size === 0) this.#end(phase, slot)
      },
    }
  }

  #open(phase: number): Slot {
    const turn = () => {
      slot.timer = this.#clock.after(this.#everyMs, turn)
      for (const run of slot.runs) run()
    }
    const slot = { runs: new Set<() => void>(), timer: this.#clock.after(this.#everyMs, turn) }
    this.#slots.set(phase, slot)
    return slot
  }

  #end(phase: number, { timer }: Slot): void {
    timer.cancel()
    this.#slots.delete(phase)
  }
}
