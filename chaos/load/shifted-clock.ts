const RealDate = Date
const realNow = RealDate.now.bind(RealDate)
let offsetMs = 0

/** Makes the wall clock of this process wrong by `ms`. Monotonic clocks and timers remain right. */
export function shiftClock(ms: number): void {
  offsetMs = ms
  globalThis.Date = ShiftedDate as DateConstructor
}

class ShiftedDate extends RealDate {
  static override now(): number {
    return realNow() + offsetMs
  }

  constructor(...args: [] | [value: number | string | Date]) {
    super(args.length === 0 ? realNow() + offsetMs : args[0])
  }
}
