/** Something that happens later unless it is cancelled. */
export type Timer = { cancel(): void }

/** Time as a parameter, so that tests own it. */
export type Clock = {
  /** Milliseconds since 1970. */
  now(): number
  /** Milliseconds that never step back, for lengths of time. */
  elapsed(): number
  /** Runs once after `ms`; longer than a timer can be waits in stages. */
  after(ms: number, run: () => void): Timer
}

/** `setTimeout` fires at once above this. */
const maxTimeoutMs = 2 ** 31 - 1

function after(ms: number, run: () => void): Timer {
  const next = () => {
    if (ms > maxTimeoutMs) timer = after(ms - maxTimeoutMs, run)
    else run()
  }
  const handle = setTimeout(next, Math.min(ms, maxTimeoutMs))
  let timer: Timer = { cancel: () => clearTimeout(handle) }
  return { cancel: () => timer.cancel() }
}

export const systemClock: Clock = { now: Date.now, elapsed: () => performance.now(), after }
