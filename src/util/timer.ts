/** A scheduled call that can be cancelled. */
export type Timer = { cancel(): void }

/** `setTimeout` fires at once for longer delays. */
const maxTimeoutMs = 2 ** 31 - 1

/**
 * Calls `run` once after `ms`. A delay that is too long for `setTimeout` is split. The call may come up to a
 * millisecond early by any clock, so `run` must not check the clock to find out if the time is over.
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
