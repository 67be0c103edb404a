/**
 * Where an agent keeps everything that must survive: identity, prekeys, session records, outbox, unfinished inbox, replay lists.
 * Keys are 1 to 200 printable ASCII characters in byte order, values are bytes. What is put is copied, and what is returned belongs
 * to the caller. Failures are `StateError`.
 */
export interface StateStore {
  /**
   * One atomic, durable, serialised step: no other transaction, of this process or another, runs between its reads and its
   * commit. What `work` throws rolls everything back and is thrown on. When the promise resolves, it is on disk.
   *
   * `work` awaits only its own `tx` calls and computation: never the network, a timer, or another transaction or read of the store
   * (which may wait for this one for ever).
   */
  transaction<T>(work: (tx: StateTransaction) => Promise<T> | T): Promise<T>

  /** Reads of one consistent snapshot, at least as new as every transaction that this store has resolved. In Node it waits for no transaction. */
  read<T>(work: (tx: StateReader) => Promise<T> | T): Promise<T>

  /**
   * `listener` is told after a transaction that wrote, of this process or another, may have changed something. Best effort and
   * coalesced: it may come late, once for many, or for nothing. Returns a function that ends it.
   */
  onChange(listener: () => void): () => void

  /** Waits for what has been started, then lets go of the state. Later calls fail with `closed`. May be called again. */
  close(): Promise<void>
}

export interface StateReader {
  get(key: string): Promise<Uint8Array | undefined>

  /** All entries whose key starts with `prefix` (which may be empty), in key order. */
  list(prefix: string, options?: ListOptions): Promise<StateEntry[]>
}

/** Reads see the transaction's own writes. Not to be used once `work` has ended. */
export interface StateTransaction extends StateReader {
  put(key: string, value: Uint8Array): void

  /** Deleting what is not there changes nothing. */
  delete(key: string): void
}

export type StateEntry = [key: string, value: Uint8Array]

export interface ListOptions {
  /** Start behind this key (in the direction of the listing); it need not exist. */
  after?: string
  /** At most this many entries. */
  limit?: number
  /** From the last key to the first. */
  reverse?: boolean
}
