import { startTimer, type Timer } from '../../util/timer.ts'

/** Time as a parameter, so that tests own it. */
export type Clock = {
  /** Milliseconds since 1970. */
  now(): number
  /** Milliseconds that never step back, for lengths of time. */
  elapsed(): number
  /** Runs once after `ms`; longer than a timer can be waits in stages. */
  after(ms: number, run: () => void): Timer
}

export const systemClock: Clock = { now: Date.now, elapsed: () => performance.now(), after: startTimer }
