/** A map of at most twice `size` entries that forgets what nobody asked for lately. Two generations by turns: no timer, no walk. */
export class RecentMap<Key, Value extends object> {
  readonly #size: number
  #young = new Map<Key, Value>()
  #old = new Map<Key, Value>()

  constructor(size: number) {
    this.#size = size
  }

  /** The value of `key`, made where there is none. */
  take(key: Key, make: (key: Key) => Value): Value {
    const young = this.#young.get(key)
    if (young) return young
    const value = this.#old.get(key) ?? make(key)
    if (this.#young.size >= this.#size) this.#turn()
    this.#young.set(key, value)
    return value
  }

  /** How many are remembered, those of both generations twice. */
  get size(): number {
    return this.#young.size + this.#old.size
  }

  #turn(): void {
    this.#old = this.#young
    this.#young = new Map()
  }
}
