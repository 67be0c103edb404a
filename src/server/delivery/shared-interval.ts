import type { Timer } from '../../util/timer.ts'
import type { Clock } from '../base/clock.ts'

type Slot = { readonly runs: Set<() => void>; timer: Timer }

/** How near to each other those come together who are run together, ms. */
const slotMs = 250

/** What many do every now and then, done by those together who began at about the same time: one timer, and one turn of the event loop in which calls of the store can join. */
export class SharedInterval {
  readonly #everyMs: number
  readonly #clock: Pick<Clock, 'after' | 'elapsed'>
  readonly #slots = new Map<number, Slot>()

  constructor(everyMs: number, clock: Pick<Clock, 'after' | 'elapsed'>) {
    this.#everyMs = everyMs
    this.#clock = clock
  }

  /** Runs it every so many ms until it is cancelled, for the first time after as long. `run` must not throw. */
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
