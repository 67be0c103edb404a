import type Database from 'libsql'
import { asError } from '../../../util/as-error.ts'
import { lazy } from '../../../util/lazy.ts'
import type { StateChanges, StateSnapshot } from '../buffered-transaction.ts'
import { StateError } from '../state-error.ts'
import type { KeyRange } from '../state-keys.ts'
import type { StateEntry } from '../state-store.ts'

/** "AIMs": marks the database as one of this program. */
export const applicationId = 0x41494d73

/**
 * WAL: readers and the writer do not wait for each other. FULL: each commit is synced before it returns (on a Mac,
 * fsync alone leaves the data in the drive's cache). secure_delete: used keys are overwritten in the database; a copy
 * may stay in the write-ahead log until its space is reused.
 */
const settings = `
  PRAGMA synchronous = FULL;
  PRAGMA fullfsync = ON;
  PRAGMA checkpoint_fullfsync = ON;
  PRAGMA secure_delete = ON;`

const tables = `
  PRAGMA application_id = ${applicationId};
  CREATE TABLE entry (key TEXT PRIMARY KEY NOT NULL, value BLOB NOT NULL) WITHOUT ROWID;`

let driver: typeof Database | undefined

/**
 * Loads the database package before the first connection. It has a native module, which only a directory needs: without
 * it everything else works.
 * @throws {StateError} `native_missing`
 */
export const loadSqlite = lazy(async (): Promise<void> => {
  try {
    driver = (await import('libsql')).default
  } catch (error) {
    const platform = `${process.platform}-${process.arch}`
    throw new StateError(
      'native_missing',
      `The native module of the package "libsql" for ${platform} cannot be loaded ` +
        `(${asError(error).message.split('\n')[0]}): install the dependencies on this machine, with optional ones ` +
        '(no --omit=optional), and leave libsql out of a bundle; or use another store (docs/CLIENT.md#platforms).',
      { cause: error },
    )
  }
})

/**
 * One connection to the database of a state directory. Calls are synchronous: a commit blocks this process until it is
 * on disk.
 */
export class SqliteConnection implements StateSnapshot {
  readonly #path: string
  readonly #db: Database.Database
  readonly #statements = new Map<string, Database.Statement<unknown[]>>()

  /** Opens an existing file, without changing it. Only after `loadSqlite`. */
  constructor(path: string) {
    this.#path = path
    const Driver = driver
    if (!Driver) throw new StateError('native_missing', 'The package "libsql" is not loaded yet.')
    this.#db = this.#guard(() => new Driver(path))
    this.#guard(() => this.#db.exec(settings))
  }

  /** Creates the tables. Switches the log on last, so that the file is complete without a log. */
  createTables(version: number): void {
    this.#guard(() => this.#db.exec(`${tables} PRAGMA user_version = ${version}; PRAGMA journal_mode = WAL;`))
  }

  /**
   * Switches the database to log mode; a copy made by `VACUUM INTO` is not in that mode. Changes the file: call it only
   * after the check that the file belongs to this program.
   */
  useLog(): void {
    this.#guard(() => this.#db.exec('PRAGMA locking_mode = NORMAL'))
    if (this.#row('PRAGMA journal_mode')?.[0] !== 'wal') this.#guard(() => this.#db.exec('PRAGMA journal_mode = WAL'))
  }

  /**
   * Reserves the whole state for this connection, until `useLog` or the end of the process. Returns false while any
   * other connection is open: each holds a shared lock on the file while it uses the log (sqlite.org/wal.html, section
   * 8).
   */
  takeAlone(): boolean {
    try {
      this.#guard(() => this.#db.exec('PRAGMA locking_mode = EXCLUSIVE'))
      const isTaken = this.#row('PRAGMA journal_mode = DELETE')?.[0] === 'delete'
      if (isTaken) this.#guard(() => this.#db.exec('BEGIN EXCLUSIVE; COMMIT'))
      return isTaken
    } catch (error) {
      if (error instanceof StateError && error.code === 'locked') return false
      throw error
    }
  }

  /** Returns false if another process holds the required lock. */
  begin(mode: 'IMMEDIATE' | 'DEFERRED'): boolean {
    try {
      this.#guard(() => this.#db.exec(`BEGIN ${mode}`))
      // The first read takes the snapshot.
      if (mode === 'DEFERRED') this.number('PRAGMA user_version')
      return true
    } catch (error) {
      this.rollback()
      if (error instanceof StateError && error.code === 'locked') return false
      throw error
    }
  }

  commit(): void {
    this.#guard(() => this.#db.exec('COMMIT'))
  }

  /** Never throws. If it fails, SQLite has rolled back already, or will when the file is next opened. */
  rollback(): void {
    try {
      if (this.#db.inTransaction) this.#db.exec('ROLLBACK')
    } catch {}
  }

  number(sql: string): number {
    return Number(this.#row(sql)?.[0])
  }

  setVersion(version: number): void {
    this.#guard(() => this.#db.exec(`PRAGMA user_version = ${version}`))
  }

  /** Returns the first damage that SQLite finds, or `ok`. */
  checkPages(): string {
    return String(this.#row('PRAGMA quick_check(1)')?.[0])
  }

  get(key: string): Uint8Array | undefined {
    return asBytes(this.#row('SELECT value FROM entry WHERE key = ?', key)?.[0])
  }

  range({ from, fromExcluded, to, limit, reverse }: KeyRange): StateEntry[] {
    const sql = `SELECT key, value FROM entry WHERE key ${fromExcluded ? '>' : '>='} ? AND key < ?
      ORDER BY key ${reverse ? 'DESC' : 'ASC'} LIMIT ?`
    const rows = this.#guard(() => this.#statement(sql).all(from, to, Number.isFinite(limit) ? Math.ceil(limit) : -1))
    return rows.flatMap(row => {
      const value = Array.isArray(row) ? asBytes(row[1]) : undefined
      return Array.isArray(row) && value ? [[String(row[0]), value] satisfies StateEntry] : []
    })
  }

  apply(changes: StateChanges): void {
    const put = 'INSERT INTO entry VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value'
    for (const [key, value] of changes) {
      if (value)
        this.#guard(() => this.#statement(put).run(key, Buffer.from(value.buffer, value.byteOffset, value.length)))
      else this.#guard(() => this.#statement('DELETE FROM entry WHERE key = ?').run(key))
    }
  }

  /** Writes the log into the database, as far as other processes allow. */
  checkpoint(): void {
    this.number('PRAGMA wal_checkpoint(TRUNCATE)')
  }

  /** The binding releases the files only when its statements are garbage-collected. */
  close(): void {
    this.#statements.clear()
    this.#guard(() => this.#db.close())
  }

  #row(sql: string, ...values: unknown[]): unknown[] | undefined {
    const row = this.#guard(() => this.#statement(sql).get(...values))
    return Array.isArray(row) ? row : undefined
  }

  #statement(sql: string): Database.Statement<unknown[]> {
    const known = this.#statements.get(sql)
    if (known) return known
    const statement = this.#db.prepare(sql)
    // A statement that writes has no rows: `raw` would throw.
    if (statement.reader) statement.raw()
    this.#statements.set(sql, statement)
    return statement
  }

  #guard<T>(call: () => T): T {
    try {
      return call()
    } catch (error) {
      throw asStateError(error, this.#path)
    }
  }
}

function asBytes(value: unknown): Uint8Array | undefined {
  return value instanceof Uint8Array ? value : undefined
}

/** Maps SQLite's result codes (sqlite.org/rescode.html) to errors that say what the user can do. */
function asStateError(error: unknown, path: string): StateError {
  const { code, message } = error instanceof Error && 'code' in error ? error : { code: '', message: String(error) }
  const kind = String(code).split('_').slice(0, 2).join('_')
  const cause = { cause: error }
  if (kind === 'SQLITE_BUSY' || kind === 'SQLITE_LOCKED') {
    return new StateError('locked', `${path} is in use by another process: try again.`, cause)
  }
  if (kind === 'SQLITE_NOTADB' || kind === 'SQLITE_CORRUPT') return unreadable(path, message, cause)
  if (['SQLITE_READONLY', 'SQLITE_PERM', 'SQLITE_CANTOPEN', 'SQLITE_AUTH'].includes(kind)) {
    return new StateError(
      'permissions',
      `${path} cannot be opened for writing (${message}): check its owner and mode.`,
      cause,
    )
  }
  return new StateError(
    'disk',
    `${path}: ${message}. Nothing of this change was stored: check the disk's space and health.`,
    cause,
  )
}

/** Returns the error for a damaged file. The file is not changed, so that its data can still be rescued. */
export function unreadable(path: string, damage: string, options?: { cause?: unknown }): StateError {
  const way = 'It was not changed: move it away and restore a copy, or start with an empty directory.'
  return new StateError('unreadable', `${path} is not a readable state database (${damage}). ${way}`, options)
}
