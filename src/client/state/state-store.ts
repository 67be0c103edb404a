/**
 * The store for everything of an agent that must survive: identity, prekeys, session records, outbox, unfinished inbox,
 * replay lists. Keys are 1 to 200 printable ASCII characters in byte order, values are bytes. `put` copies its value;
 * the caller owns returned values. Failures are `StateError`.
 */
export interface StateStore {
  /**
   * Runs one atomic, durable, serialised step: no other transaction, of this process or another, runs between its reads
   * and its commit. An error of `work` rolls everything back and rejects the promise. When the promise resolves, the
   * changes are on disk.
   *
   * `work` may await only its own `tx` calls and computation: never the network, a timer, or another transaction or
   * read of the store, which may wait for this one forever.
   */
  transaction<T>(work: (tx: StateTransaction) => Promise<T> | T): Promise<T>

  /**
   * Reads from one consistent snapshot. It includes every transaction that this store has resolved. In Node it does not
   * wait for transactions.
   */
  read<T>(work: (tx: StateReader) => Promise<T> | T): Promise<T>

  /**
   * Calls `handler` after a transaction of this process or another may have changed something. Best effort: a call may
   * be late, stand for many changes, or have no cause. Returns a function that removes the handler.
   */
  onChange(handler: () => void): () => void

  /** Waits for running operations, then releases the state. Later calls fail with `closed`. May be called again. */
  close(): Promise<void>
}

export interface StateReader {
  get(key: string): Promise<Uint8Array | undefined>

  /** Returns all entries whose key starts with `prefix` (which may be empty), in key order. */
  list(prefix: string, options?: ListOptions): Promise<StateEntry[]>
}

/** Its reads see its own writes. It must not be used after `work` has ended. */
export interface StateTransaction extends StateReader {
  put(key: string, value: Uint8Array): void

  /** Does nothing if the key does not exist. */
  delete(key: string): void
}

export type StateEntry = [key: string, value: Uint8Array]

export interface ListOptions {
  /** Starts after this key, in the direction of the listing. The key need not exist. */
  after?: string
  /** Maximum number of entries. */
  limit?: number
  /** Lists from the last key to the first. */
  reverse?: boolean
}
