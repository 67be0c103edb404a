/** Random choices that are reproducible from a seed. */
export type Random = {
  /** Returns a number in [0, 1). */
  next(): number
  between(from: number, to: number): number
  /** @throws {RangeError} if `items` is empty. */
  pick<Item>(items: readonly Item[]): Item
}

/** mulberry32. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  return {
    next,
    between: (from, to) => from + next() * (to - from),
    pick: items => {
      const item = items[Math.floor(next() * items.length)]
      if (item === undefined) throw new RangeError('nothing to choose from')
      return item
    },
  }
}
