import { startTimer, type Timer } from '../../util/timer.ts'

/** Time as a parameter, so that tests control it. */
export type Clock = {
  /** Milliseconds since 1970. */
  now(): number
  /** A monotonic clock in ms, for durations. */
  elapsed(): number
  /** Runs `run` once after `ms`, which may exceed the longest timer of Node. */
  after(ms: number, run: () => void): Timer
}

export const systemClock: Clock = { now: Date.now, elapsed: () => performance.now(), after: startTimer }
