/**
 * Returns true if `intervalMs` have passed since `sinceMs`. A time in the future counts as due: the clock was set back,
 * and nobody knows how long ago it was.
 */
export const hasElapsed = (intervalMs: number, sinceMs: number, nowMs: number): boolean =>
  nowMs < sinceMs || nowMs - sinceMs >= intervalMs
