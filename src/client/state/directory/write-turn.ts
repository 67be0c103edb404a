import { statSync, utimesSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { StateError } from '../state-error.ts'
import type { SqliteConnection } from './sqlite-connection.ts'
import type { StateDirectory } from './state-directory.ts'

/** A waiter that says nothing for so long has had its turn, or died. */
const knockLifetimeMs = 20
/** How long one process may write while others wait. To give way after each commit would leave the disk idle most of the time. */
const sliceMs = 10
const longestPauseMs = 4
/** Longer than the longest pause between two tries of a waiter. */
const courtesyMs = longestPauseMs + 1

/**
 * Whose turn it is to write, among the processes of one directory. SQLite's own lock decides; it ends with its process, however
 * that ends. It knows no queue, so a waiter knocks by touching a file, and who has
 * written for a while then lets others go first.
 */
export class WriteTurn {
  readonly #connection: SqliteConnection
  readonly #directory: StateDirectory
  readonly #timeoutMs: number
  /** When this process began to write without giving way; 0 when it has not. */
  #since = 0

  constructor(connection: SqliteConnection, directory: StateDirectory, timeoutMs: number) {
    this.#connection = connection
    this.#directory = directory
    this.#timeoutMs = timeoutMs
  }

  /** Begins a write transaction. @throws StateError `locked` after the time allowed */
  async take(): Promise<void> {
    if (this.#since > 0 && performance.now() - this.#since > sliceMs) {
      if (this.#someoneKnocks()) await sleep(courtesyMs)
      this.#since = 0
    }
    await beginWithin(this.#connection, 'IMMEDIATE', this.#timeoutMs, this.#directory, () => {
      this.#since = 0
      this.#knock()
    })
    if (this.#since === 0) this.#since = performance.now()
  }

  #someoneKnocks(): boolean {
    try {
      return Math.abs(Date.now() - statSync(this.#directory.waiting).mtimeMs) < knockLifetimeMs
    } catch {
      return false
    }
  }

  /** Courtesy only: without it the lock is still a lock. */
  #knock(): void {
    try {
      const now = new Date()
      utimesSync(this.#directory.waiting, now, now)
    } catch {}
  }
}

/**
 * Tries until it has begun; `refused` is called after each try that failed. The binding could wait by itself, but would stop this process.
 * @throws StateError `locked` after the time allowed
 */
export async function beginWithin(
  connection: SqliteConnection,
  mode: 'IMMEDIATE' | 'DEFERRED',
  timeoutMs: number,
  { database }: StateDirectory,
  refused: () => void = () => {},
): Promise<void> {
  const deadline = performance.now() + timeoutMs
  while (!connection.begin(mode)) {
    if (performance.now() > deadline) {
      const held = `${database} has been held by another process for ${timeoutMs / 1000} s`
      throw new StateError('locked', `${held}: end the one that hangs (fuser ${database} names them), or try again.`)
    }
    refused()
    await sleep(1 + Math.random() * (longestPauseMs - 1))
  }
}
