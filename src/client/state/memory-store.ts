import { BufferedTransaction, type StateChanges, type StateSnapshot } from './buffered-transaction.ts'
import { ChangeListeners } from './change-listeners.ts'
import { OpenWork } from './open-work.ts'
import { SerialQueue } from './serial-queue.ts'
import { StateError } from './state-error.ts'
import { compareKeys, inRange, type KeyRange } from './state-keys.ts'
import type { StateEntry, StateReader, StateStore, StateTransaction } from './state-store.ts'

/**
 * The data behind memory stores. Open several stores on one disk to simulate several processes of an agent, or its
 * restart. The data is lost when this process ends.
 */
export class MemoryDisk {
  #entries = new Map<string, Uint8Array>()
  #snapshotTaken = false
  readonly queue = new SerialQueue()
  readonly stores = new Set<ChangeListeners>()

  /** Returns the current data. Later commits do not change the snapshot. */
  snapshot(): StateSnapshot {
    this.#snapshotTaken = true
    return snapshotOf(this.#entries)
  }

  /** Returns the current data without copying. Only for the one transaction that may commit next. */
  latest(): StateSnapshot {
    return snapshotOf(this.#entries)
  }

  commit(changes: StateChanges): void {
    // Snapshots keep the map they were taken from.
    if (this.#snapshotTaken) this.#entries = new Map(this.#entries)
    this.#snapshotTaken = false
    for (const [key, value] of changes) {
      if (value) this.#entries.set(key, value)
      else this.#entries.delete(key)
    }
    for (const listeners of this.stores) listeners.notify()
  }
}

/** Opens a store in the memory of this process: for tests, and for agents that need no restart. */
export function openMemoryStore(disk: MemoryDisk = new MemoryDisk()): StateStore {
  if (!(disk instanceof MemoryDisk)) throw new StateError('invalid', 'A memory store takes no options.')
  return new MemoryStore(disk)
}

class MemoryStore implements StateStore {
  readonly #disk: MemoryDisk
  readonly #listeners = new ChangeListeners()
  readonly #open = new OpenWork('The memory store')

  constructor(disk: MemoryDisk) {
    this.#disk = disk
    disk.stores.add(this.#listeners)
  }

  transaction<T>(work: (tx: StateTransaction) => Promise<T> | T): Promise<T> {
    return this.#open.run(() => this.#disk.queue.run(() => this.#transact(work)))
  }

  read<T>(work: (tx: StateReader) => Promise<T> | T): Promise<T> {
    return this.#open.run(async () => {
      const reader = new BufferedTransaction(this.#disk.snapshot())
      try {
        return await work(reader)
      } finally {
        reader.end()
      }
    })
  }

  onChange(listener: () => void): () => void {
    return this.#listeners.add(listener)
  }

  async close(): Promise<void> {
    await this.#open.close()
    this.#listeners.clear()
    this.#disk.stores.delete(this.#listeners)
  }

  async #transact<T>(work: (tx: StateTransaction) => Promise<T> | T): Promise<T> {
    const tx = new BufferedTransaction(this.#disk.latest())
    try {
      const result = await work(tx)
      const changes = tx.end()
      if (changes.size > 0) this.#disk.commit(changes)
      return result
    } finally {
      tx.end()
    }
  }
}

function snapshotOf(entries: ReadonlyMap<string, Uint8Array>): StateSnapshot {
  return { get: key => entries.get(key), range: range => listRange(entries, range) }
}

function listRange(entries: ReadonlyMap<string, Uint8Array>, range: KeyRange): StateEntry[] {
  const found = [...entries].filter(([key]) => inRange(key, range)).sort(([a], [b]) => compareKeys(a, b))
  if (range.reverse) found.reverse()
  return found.slice(0, range.limit)
}
