/** Something that happens later unless it is cancelled. */
export type Timer = { cancel(): void }

/** `setTimeout` fires at once above this. */
const maxTimeoutMs = 2 ** 31 - 1

/**
 * Runs once after `ms`; longer than a timer can be waits in stages. It may come up to a millisecond early by any clock: whether the time
 * is over is what `run` notes, and is not asked of a clock afterwards.
 */
export function startTimer(ms: number, run: () => void): Timer {
  const next = () => {
    if (ms > maxTimeoutMs) timer = startTimer(ms - maxTimeoutMs, run)
    else run()
  }
  const handle = setTimeout(next, Math.min(ms, maxTimeoutMs))
  let timer: Timer = { cancel: () => clearTimeout(handle) }
  return { cancel: () => timer.cancel() }
}
