/**
 * A map of at most twice `size` entries that drops entries not used recently. It keeps two generations and drops the
 * older one when the younger is full, so that it needs no timer and no scan.
 */
export class RecentMap<Key, Value extends object> {
  readonly #size: number
  #young = new Map<Key, Value>()
  #old = new Map<Key, Value>()

  constructor(size: number) {
    this.#size = size
  }

  /** Returns the value of `key`, and makes it if there is none. */
  take(key: Key, make: (key: Key) => Value): Value {
    const young = this.#young.get(key)
    if (young) return young
    const value = this.#old.get(key) ?? make(key)
    if (this.#young.size >= this.#size) this.#startGeneration()
    this.#young.set(key, value)
    return value
  }

  /** Returns the value of `key` if there is one. */
  peek(key: Key): Value | undefined {
    const value = this.#young.get(key)
    if (value) return value
    const old = this.#old.get(key)
    return old && this.take(key, () => old)
  }

  delete(key: Key): void {
    this.#young.delete(key)
    this.#old.delete(key)
  }

  /** The number of entries; an entry in both generations counts twice. */
  get size(): number {
    return this.#young.size + this.#old.size
  }

  #startGeneration(): void {
    this.#old = this.#young
    this.#young = new Map()
  }
}
