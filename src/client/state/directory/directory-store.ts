import { BufferedTransaction } from '../buffered-transaction.ts'
import { ChangeListeners } from '../change-listeners.ts'
import { OpenWork } from '../open-work.ts'
import { StateError } from '../state-error.ts'
import { firstFormat, needsMigration, type StateFormat } from '../state-format.ts'
import type { StateReader, StateStore, StateTransaction } from '../state-store.ts'
import { DirectoryWatch } from './directory-watch.ts'
import { applicationId, SqliteConnection, unreadable } from './sqlite-connection.ts'
import { prepareDirectory, type StateDirectory } from './state-directory.ts'
import { WriteBatches } from './write-batches.ts'
import { beginWithin, WriteTurn } from './write-turn.ts'

/** Number of idle connections that are kept for later reads. */
const idleReaders = 4

export interface DirectoryStoreOptions {
  format?: StateFormat
  /** How long to wait for another process that writes before failing with `locked`. Default 30 s. */
  lockTimeoutMs?: number
  /** `alone` excludes all other processes until the store is closed. Default `shared`. */
  use?: 'shared' | 'alone'
}

type OpenOptions = Required<DirectoryStoreOptions>

/**
 * Opens the state of one agent in a directory on a local disk, shared by any number of processes of this machine and
 * user. Creates the directory if it does not exist. See docs/STATE.md.
 * @throws {StateError} `unreadable`, `permissions`, `version`, `locked`, `in_use` or `disk`
 */
export async function openDirectoryStore(path: string, options: DirectoryStoreOptions = {}): Promise<StateStore> {
  const { format = firstFormat, lockTimeoutMs = 30_000, use = 'shared' } = options
  if (!(lockTimeoutMs >= 0)) throw new StateError('invalid', 'lockTimeoutMs must be a number of milliseconds.')
  if (use !== 'shared' && use !== 'alone') throw new StateError('invalid', 'use must be "shared" or "alone".')
  const directory = await prepareDirectory(path, format.version)
  const connection = new SqliteConnection(directory.database)
  try {
    const turn = new WriteTurn(connection, directory, lockTimeoutMs)
    const settings = { format, lockTimeoutMs, use }
    await checkDatabase(connection, turn, settings, directory)
    if (use === 'shared') connection.useLog()
    else if (!connection.takeAlone()) throw inUse(directory)
    return new DirectoryStore(directory, connection, turn, settings)
  } catch (error) {
    connection.close()
    throw error
  }
}

function inUse({ database }: StateDirectory): StateError {
  return new StateError(
    'in_use',
    `${database} is used by another process: end it (find it with: fuser ${database}), and try again.`,
  )
}

/** Checks one snapshot for damage, and migrates an older format in one transaction. */
async function checkDatabase(
  connection: SqliteConnection,
  turn: WriteTurn,
  { format, lockTimeoutMs }: OpenOptions,
  directory: StateDirectory,
): Promise<void> {
  // Waits, because reads also fail while another process recovers the log of a killed process.
  await beginWithin(connection, 'DEFERRED', lockTimeoutMs, directory)
  let stored: number
  try {
    stored = checkedVersion(connection, directory)
  } finally {
    connection.rollback()
  }
  if (!needsMigration(stored, format, directory.database)) return
  await turn.take()
  try {
    await migrate(connection, format)
    connection.commit()
  } finally {
    connection.rollback()
  }
}

function checkedVersion(connection: SqliteConnection, { database }: StateDirectory): number {
  if (connection.number('PRAGMA application_id') !== applicationId) {
    throw unreadable(database, 'it belongs to another program')
  }
  const damage = connection.checkPages()
  if (damage !== 'ok') throw unreadable(database, damage)
  return connection.number('PRAGMA user_version')
}

async function migrate(connection: SqliteConnection, format: StateFormat): Promise<void> {
  // Read again: another process may have migrated the state first.
  for (let from = connection.number('PRAGMA user_version'); from < format.version; from++) {
    const tx = new BufferedTransaction(connection)
    await format.migrate?.(tx, from)
    connection.apply(tx.end())
  }
  connection.setVersion(format.version)
}

function requireVersion(connection: SqliteConnection, format: StateFormat, { database }: StateDirectory): void {
  const stored = connection.number('PRAGMA user_version')
  if (stored !== format.version) needsMigration(Math.max(stored, format.version + 1), format, database)
}

class DirectoryStore implements StateStore {
  readonly #directory: StateDirectory
  readonly #connection: SqliteConnection
  readonly #lockTimeoutMs: number
  readonly #use: OpenOptions['use']
  readonly #batches: WriteBatches
  readonly #open: OpenWork
  readonly #handlers = new ChangeListeners()
  readonly #readers: SqliteConnection[] = []
  #watch: DirectoryWatch | undefined
  #seenVersion = 0
  #closed: Promise<void> | undefined

  constructor(directory: StateDirectory, connection: SqliteConnection, turn: WriteTurn, options: OpenOptions) {
    this.#directory = directory
    this.#connection = connection
    this.#lockTimeoutMs = options.lockTimeoutMs
    this.#use = options.use
    this.#open = new OpenWork(directory.path)
    this.#batches = new WriteBatches({
      connection,
      turn,
      // A process of a newer version may have migrated the state while this process runs.
      check: () => requireVersion(connection, options.format, directory),
      committed: () => this.#handlers.notify(),
    })
  }

  transaction<T>(work: (tx: StateTransaction) => Promise<T> | T): Promise<T> {
    return this.#open.run(() => this.#batches.run(work))
  }

  read<T>(work: (tx: StateReader) => Promise<T> | T): Promise<T> {
    // A second connection could not open the state, which this connection holds alone.
    if (this.#use === 'alone') return this.transaction(work)
    return this.#open.run(async () => {
      const connection = this.#readers.pop() ?? new SqliteConnection(this.#directory.database)
      const reader = new BufferedTransaction(connection)
      try {
        await beginWithin(connection, 'DEFERRED', this.#lockTimeoutMs, this.#directory)
        return await work(reader)
      } finally {
        reader.end()
        connection.rollback()
        if (this.#readers.length < idleReaders) this.#readers.push(connection)
        else connection.close()
      }
    })
  }

  onChange(handler: () => void): () => void {
    const end = this.#handlers.add(handler)
    if (!this.#watch && !this.#closed) {
      this.#seenVersion = this.#connection.number('PRAGMA data_version')
      this.#watch = new DirectoryWatch(this.#directory.path, () => this.#check())
    }
    return () => {
      end()
      if (this.#handlers.size === 0) this.#stopWatching()
    }
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    this.#handlers.clear()
    this.#stopWatching()
    await this.#open.close()
    try {
      if (this.#use === 'alone') this.#connection.useLog()
      this.#connection.checkpoint()
    } catch {
      // All data is on disk, at least in the log.
    }
    for (const connection of [...this.#readers, this.#connection]) connection.close()
  }

  /** `data_version` changes only by commits of other connections. In this process only this connection writes. */
  #check(): void {
    let version: number
    try {
      version = this.#connection.number('PRAGMA data_version')
    } catch {
      // The next transaction reports the error.
      return
    }
    if (version === this.#seenVersion) return
    this.#seenVersion = version
    this.#handlers.notify()
  }

  #stopWatching(): void {
    this.#watch?.stop()
    this.#watch = undefined
  }
}
