/** The change handlers of one store. Several `notify` calls before they run cause one call of each. */
export class ChangeListeners {
  readonly #listeners = new Set<{ call: () => void }>()
  #pending = false

  get size(): number {
    return this.#listeners.size
  }

  add(call: () => void): () => void {
    const entry = { call }
    this.#listeners.add(entry)
    return () => void this.#listeners.delete(entry)
  }

  notify(): void {
    if (this.#pending || this.#listeners.size === 0) return
    this.#pending = true
    // A separate task: an error of a handler must not look like a failure of the transaction that called `notify`.
    setTimeout(() => {
      this.#pending = false
      for (const { call } of [...this.#listeners]) call()
    }, 0)
  }

  clear(): void {
    this.#listeners.clear()
  }
}
