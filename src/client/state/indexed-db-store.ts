import { BufferedTransaction, type StateChanges, type StateSnapshot } from './buffered-transaction.ts'
import { ChangeListeners } from './change-listeners.ts'
import { OpenWork } from './open-work.ts'
import { checkObject, checkText } from './state-arguments.ts'
import { StateError } from './state-error.ts'
import { firstFormat, needsMigration, type StateFormat } from './state-format.ts'
import type { KeyRange } from './state-keys.ts'
import type { StateEntry, StateReader, StateStore, StateTransaction } from './state-store.ts'

const entries = 'entries'
const meta = 'meta'
const formatKey = 'format'
/** The version of the object stores. The version of the records in them is a value in `meta`. */
const layoutVersion = 1

interface IndexedDbStoreOptions {
  format?: StateFormat
}

/** A state in a browser. */
export type BrowserStore = StateStore & {
  /**
   * Resolves to true if the browser keeps the state until the user deletes it, and to false if the browser may delete
   * it, for example to free disk space: then the identity is lost. Some browsers ask the user first. Never rejects.
   */
  readonly isPersistent: Promise<boolean>
}

/**
 * Opens the state of one agent in a browser, shared by the tabs and workers of one origin. A Web Lock per name
 * serialises transactions; IndexedDB alone would end a transaction whose work computes between its reads. Needs a
 * secure context. Asks the browser for persistent storage (`navigator.storage.persist`).
 * @throws {StateError} `unreadable`, `version`, `permissions` or `disk`
 */
export async function openIndexedDbStore(name: string, options: IndexedDbStoreOptions = {}): Promise<BrowserStore> {
  checkText(name, 'The name of a state')
  checkObject(options, 'The options of a store')
  const { format = firstFormat } = options
  if (!globalThis.navigator?.locks) {
    throw new StateError('permissions', `State "${name}" needs Web Locks: serve the page over https or from localhost.`)
  }
  const db = await openDatabase(name)
  try {
    await withLock(name, 'exclusive', () => migrate(db, name, format))
  } catch (error) {
    db.close()
    throw error
  }
  return new IndexedDbStore(db, name, format)
}

class IndexedDbStore implements BrowserStore {
  readonly isPersistent = askForPersistence()
  readonly #db: IDBDatabase
  readonly #name: string
  readonly #format: StateFormat
  readonly #open: OpenWork
  readonly #listeners = new ChangeListeners()
  readonly #channel: BroadcastChannel

  constructor(db: IDBDatabase, name: string, format: StateFormat) {
    this.#db = db
    this.#name = name
    this.#format = format
    this.#open = new OpenWork(`State "${name}"`)
    this.#channel = new BroadcastChannel(lockName(name))
    this.#channel.onmessage = () => this.#listeners.notify()
    // Another tab is about to delete the database or to change its layout.
    db.onversionchange = () => void this.close()
  }

  transaction<T>(work: (tx: StateTransaction) => Promise<T> | T): Promise<T> {
    return this.#open.run(() => withLock(this.#name, 'exclusive', () => this.#transact(work)))
  }

  read<T>(work: (tx: StateReader) => Promise<T> | T): Promise<T> {
    // An IndexedDB snapshot ends when the work pauses, so readers hold the lock in shared mode.
    return this.#open.run(() =>
      withLock(this.#name, 'shared', async () => {
        const reader = new BufferedTransaction(snapshotOf(this.#db, this.#name))
        try {
          return await work(reader)
        } finally {
          reader.end()
        }
      }),
    )
  }

  onChange(listener: () => void): () => void {
    return this.#listeners.add(listener)
  }

  async close(): Promise<void> {
    this.#listeners.clear()
    await this.#open.close()
    this.#channel.close()
    this.#db.close()
  }

  async #transact<T>(work: (tx: StateTransaction) => Promise<T> | T): Promise<T> {
    // A tab with newer code may have migrated the state while this tab was open.
    const stored = await storedVersion(this.#db, this.#name)
    if (stored !== this.#format.version)
      needsMigration(Math.max(stored, this.#format.version + 1), this.#format, this.#name)
    const tx = new BufferedTransaction(snapshotOf(this.#db, this.#name))
    try {
      const result = await work(tx)
      const changes = tx.end()
      if (changes.size === 0) return result
      await commit(this.#db, this.#name, changes)
      this.#listeners.notify()
      this.#channel.postMessage(null)
      return result
    } finally {
      tx.end()
    }
  }
}

/** Workers cannot ask; they see what a page has got. */
async function askForPersistence(): Promise<boolean> {
  const { storage } = navigator
  try {
    return (await storage?.persist?.()) ?? (await storage?.persisted?.()) ?? false
  } catch {
    return false
  }
}

async function migrate(db: IDBDatabase, name: string, format: StateFormat): Promise<void> {
  const stored = await storedVersion(db, name)
  if (stored !== 0 && !needsMigration(stored, format, `State "${name}"`)) return
  const tx = new BufferedTransaction(snapshotOf(db, name))
  if (stored > 0) for (let from = stored; from < format.version; from++) await format.migrate?.(tx, from)
  await commit(db, name, tx.end(), format.version)
}

/** Returns 0 for a new database. */
async function storedVersion(db: IDBDatabase, name: string): Promise<number> {
  const version: unknown = await result(name, () => db.transaction(meta).objectStore(meta).get(formatKey))
  return typeof version === 'number' ? version : 0
}

/** Writes all changes in one transaction. They are on disk when it resolves. */
function commit(db: IDBDatabase, name: string, changes: StateChanges, version?: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: unknown) => reject(asStateError(error, name))
    try {
      const tx = db.transaction([entries, meta], 'readwrite', { durability: 'strict' })
      tx.oncomplete = () => resolve()
      tx.onabort = () => fail(tx.error)
      const store = tx.objectStore(entries)
      for (const [key, value] of changes) {
        if (value) store.put(value, key)
        else store.delete(key)
      }
      if (version !== undefined) tx.objectStore(meta).put(version, formatKey)
    } catch (error) {
      fail(error)
    }
  })
}

function snapshotOf(db: IDBDatabase, name: string): StateSnapshot {
  return {
    get: async key => {
      const value: unknown = await result(name, () => db.transaction(entries).objectStore(entries).get(key))
      return value === undefined ? undefined : asBytes(value, name)
    },
    range: range => readRange(db, name, range),
  }
}

function readRange(db: IDBDatabase, name: string, range: KeyRange): Promise<StateEntry[]> {
  if (range.from >= range.to || range.limit <= 0) return Promise.resolve([])
  return new Promise((resolve, reject) => {
    const found: StateEntry[] = []
    const fail = (error: unknown) => reject(asStateError(error, name))
    try {
      const bounds = IDBKeyRange.bound(range.from, range.to, range.fromExcluded, true)
      const request = db
        .transaction(entries)
        .objectStore(entries)
        .openCursor(bounds, range.reverse ? 'prev' : 'next')
      request.onerror = () => fail(request.error)
      request.onsuccess = () => {
        const cursor = request.result
        try {
          if (cursor) found.push([String(cursor.key), asBytes(cursor.value, name)])
          if (cursor && found.length < range.limit) cursor.continue()
          else resolve(found)
        } catch (error) {
          fail(error)
        }
      }
    } catch (error) {
      fail(error)
    }
  })
}

function openDatabase(name: string): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(lockName(name), layoutVersion)
    request.onupgradeneeded = () => {
      request.result.createObjectStore(entries)
      request.result.createObjectStore(meta)
    }
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(asStateError(request.error, name))
  })
}

async function withLock<T>(name: string, mode: LockMode, work: () => Promise<T>): Promise<T> {
  return await navigator.locks.request(lockName(name), { mode }, work)
}

/** Returns the name of an agent's lock. Its database and its channel have the same name. */
function lockName(name: string): string {
  return `aimessage-state:${name}`
}

function result<T>(name: string, start: () => IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    try {
      const request = start()
      request.onsuccess = () => resolve(request.result)
      request.onerror = () => reject(asStateError(request.error, name))
    } catch (error) {
      reject(asStateError(error, name))
    }
  })
}

function asBytes(value: unknown, name: string): Uint8Array {
  if (value instanceof Uint8Array) return value
  throw new StateError('unreadable', `State "${name}" holds data that aimessage did not write. It was not changed.`)
}

function asStateError(error: unknown, name: string): StateError {
  if (error instanceof StateError) return error
  const kind = error instanceof DOMException ? error.name : ''
  const detail = error instanceof Error ? error.message : String(error)
  const cause = { cause: error }
  if (kind === 'VersionError') {
    return new StateError(
      'version',
      `State "${name}" was written by a newer version of aimessage: reload the page.`,
      cause,
    )
  }
  if (kind === 'InvalidStateError') return new StateError('closed', `State "${name}" is closed: open it again.`, cause)
  if (kind === 'NotFoundError' || kind === 'DataError') {
    return new StateError('unreadable', `State "${name}" has another layout (${detail}). It was not changed.`, cause)
  }
  const way = 'Nothing of this change was stored: free some space, and leave private browsing.'
  return new StateError('disk', `State "${name}" cannot be stored (${kind || 'error'}: ${detail}). ${way}`, cause)
}
