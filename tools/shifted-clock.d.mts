/** Makes the wall clock of this process wrong by `ms`. Monotonic clocks and timers remain right. */
export function shiftClock(ms: number): void
