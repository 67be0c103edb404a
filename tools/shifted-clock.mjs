// JavaScript, because processes without a compiler preload it: see test/fixtures/clock-offset.mjs.
const RealDate = Date
const realNow = RealDate.now.bind(RealDate)
let offsetMs = 0

class ShiftedDate extends RealDate {
  static now() {
    return realNow() + offsetMs
  }

  constructor(...args) {
    if (args.length === 0) super(realNow() + offsetMs)
    else super(...args)
  }
}

export function shiftClock(ms) {
  offsetMs = ms
  globalThis.Date = ShiftedDate
}
