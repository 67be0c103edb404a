import { StateError } from './state-error.ts'
import { checkKey, checkValue, compareKeys, inRange, type KeyRange, keyRange } from './state-keys.ts'
import type { ListOptions, StateEntry, StateTransaction } from './state-store.ts'

/** Reads from one snapshot of a store's engine. It may return its own values: the transaction copies them. */
export interface StateSnapshot {
  get(key: string): Promise<Uint8Array | undefined> | Uint8Array | undefined
  range(range: KeyRange): Promise<StateEntry[]> | StateEntry[]
}

/** The writes of a transaction. `undefined` deletes. */
export type StateChanges = ReadonlyMap<string, Uint8Array | undefined>

/**
 * A transaction that buffers its writes and shows them to its own reads. The engine commits the changes when the work
 * is done, so nothing is written before the work has succeeded, and a rollback only discards the buffer.
 */
export class BufferedTransaction implements StateTransaction {
  readonly #snapshot: StateSnapshot
  readonly #changes = new Map<string, Uint8Array | undefined>()
  #ended = false

  constructor(snapshot: StateSnapshot) {
    this.#snapshot = snapshot
  }

  /** Ends the transaction and returns its changes. Later calls on it fail. */
  end(): StateChanges {
    this.#ended = true
    return this.#changes
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    this.#check()
    checkKey(key)
    const value = this.#changes.has(key) ? this.#changes.get(key) : await this.#snapshot.get(key)
    return value && Uint8Array.from(value)
  }

  async list(prefix: string, options?: ListOptions): Promise<StateEntry[]> {
    this.#check()
    const range = keyRange(prefix, options)
    const own = [...this.#changes].filter(([key]) => inRange(key, range))
    const stored = await this.#snapshot.range({ ...range, limit: range.limit + own.length })
    const merged = new Map<string, Uint8Array | undefined>([...stored, ...own])
    const entries: StateEntry[] = []
    for (const [key, value] of merged) if (value) entries.push([key, Uint8Array.from(value)])
    entries.sort(([a], [b]) => (range.reverse ? compareKeys(b, a) : compareKeys(a, b)))
    return entries.slice(0, range.limit)
  }

  put(key: string, value: Uint8Array): void {
    this.#check()
    checkKey(key)
    checkValue(value)
    this.#changes.set(key, Uint8Array.from(value))
  }

  delete(key: string): void {
    this.#check()
    checkKey(key)
    this.#changes.set(key, undefined)
  }

  #check(): void {
    if (this.#ended) throw new StateError('ended', 'This transaction has ended: await every call inside its work.')
  }
}
