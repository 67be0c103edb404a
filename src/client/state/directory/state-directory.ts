import { randomBytes } from 'node:crypto'
import type { Stats } from 'node:fs'
import { chmod, link, lstat, mkdir, open, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { checkText } from '../state-arguments.ts'
import { StateError } from '../state-error.ts'
import { loadSqlite, SqliteConnection, unreadable } from './sqlite-connection.ts'
import { syncPath } from './sync-path.ts'

const directoryMode = 0o700
const fileMode = 0o600

export interface StateDirectory {
  path: string
  /** SQLite creates `-wal` and `-shm` next to it, with the same mode. */
  database: string
  /** A process that waits for its turn to write touches this file. */
  waiting: string
}

/**
 * Creates a complete state directory, or checks an existing one. Restricts its modes to this user.
 * @throws {StateError}
 */
export async function prepareDirectory(path: string, version: number): Promise<StateDirectory> {
  checkText(path, 'The path of a state directory')
  await loadSqlite()
  const root = resolve(path)
  const directory = { path: root, database: join(root, 'state.db'), waiting: join(root, 'waiting') }
  try {
    await mkdir(root, { recursive: true, mode: directoryMode })
    await secure(root, directoryMode, 'directory')
    if (!(await exists(directory.database))) await createDatabase(directory, version)
    await (await open(directory.waiting, 'a', fileMode)).close()
    for (const file of [
      directory.database,
      directory.waiting,
      `${directory.database}-wal`,
      `${directory.database}-shm`,
    ]) {
      await secure(file, fileMode, 'file')
    }
  } catch (error) {
    throw asStateError(error, root)
  }
  if ((await lstat(directory.database)).size === 0) throw unreadable(directory.database, 'it is empty')
  return directory
}

/** Creates the database. It appears under its name only when it is complete; if several processes try, one succeeds. */
async function createDatabase({ path, database }: StateDirectory, version: number): Promise<void> {
  const left = await lstat(`${database}-wal`).catch(ignore('ENOENT'))
  // SQLite would apply this log to the new database.
  if (left && left.size > 0) throw unreadable(`${database}-wal`, 'its state.db is missing')
  const draft = `${database}.${randomBytes(8).toString('hex')}`
  try {
    await (await open(draft, 'wx', fileMode)).close()
    const connection = new SqliteConnection(draft)
    try {
      connection.createTables(version)
    } finally {
      connection.close()
    }
    const log = await lstat(`${draft}-wal`).catch(ignore('ENOENT'))
    if (log && log.size > 0) throw new StateError('disk', `${draft} could not be completed: try again.`)
    await syncPath(draft)
    await link(draft, database).catch(ignore('EEXIST'))
  } finally {
    for (const end of ['', '-wal', '-shm']) await rm(draft + end, { force: true })
  }
  await syncPath(path)
}

/**
 * Checks type and owner, and sets the mode. Never opens the database: closing a descriptor would drop this process's
 * locks on it.
 */
async function secure(path: string, mode: number, kind: 'directory' | 'file'): Promise<void> {
  const found = await lstat(path).catch(ignore('ENOENT'))
  if (!found) return
  if (kind === 'directory' ? !found.isDirectory() : !found.isFile()) throw unreadable(path, `it is not a ${kind}`)
  if (process.getuid && found.uid !== process.getuid()) throw foreign(path, found)
  if (process.platform !== 'win32' && (found.mode & 0o777) !== mode) await chmod(path, mode)
}

function foreign(path: string, found: Stats): StateError {
  return new StateError(
    'permissions',
    `${path} belongs to user ${found.uid}: run as that user, or change the owner (chown).`,
  )
}

async function exists(path: string): Promise<boolean> {
  return (await lstat(path).catch(ignore('ENOENT'))) !== undefined
}

function ignore(code: string): (error: unknown) => undefined {
  return error => {
    if (!(error instanceof Error && 'code' in error && error.code === code)) throw error
  }
}

function asStateError(error: unknown, path: string): unknown {
  if (error instanceof StateError || !(error instanceof Error && 'code' in error)) return error
  const cause = { cause: error }
  if (error.code === 'ENOTDIR' || error.code === 'EEXIST') return unreadable(path, 'it is not a directory', cause)
  if (error.code === 'EACCES' || error.code === 'EPERM' || error.code === 'EROFS') {
    return new StateError('permissions', `${path} cannot be used (${error.message}): check its owner and mode.`, cause)
  }
  return new StateError('disk', `${path} cannot be used: ${error.message}.`, cause)
}
