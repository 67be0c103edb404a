import { statSync, utimesSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { StateError } from '../state-error.ts'
import type { SqliteConnection } from './sqlite-connection.ts'
import type { StateDirectory } from './state-directory.ts'

/** A waiting process that did not touch the file for this time has written, or has ended, ms. */
const waitingLifetimeMs = 20
/**
 * How long one process may write while others wait, ms. Yielding after each commit would leave the disk idle most of
 * the time.
 */
const sliceMs = 10
/** Longest pause between two attempts of a waiting process, ms. */
const longestPauseMs = 4
/** How long a writer yields, ms: longer than `longestPauseMs`. */
const courtesyMs = longestPauseMs + 1

/**
 * Shares the right to write among the processes of one directory. SQLite's lock decides; it ends with its process in
 * any case. That lock has no queue, so a waiting process touches a file, and a process that has written for `sliceMs`
 * then yields.
 */
export class WriteTurn {
  readonly #connection: SqliteConnection
  readonly #directory: StateDirectory
  readonly #timeoutMs: number
  /** When this process began to write without yielding; 0 if it does not write. */
  #since = 0

  constructor(connection: SqliteConnection, directory: StateDirectory, timeoutMs: number) {
    this.#connection = connection
    this.#directory = directory
    this.#timeoutMs = timeoutMs
  }

  /** Begins a write transaction. @throws {StateError} `locked` after the timeout */
  async take(): Promise<void> {
    if (this.#since > 0 && performance.now() - this.#since > sliceMs) {
      if (this.#isAnyWaiting()) await sleep(courtesyMs)
      this.#since = 0
    }
    await beginWithin(this.#connection, 'IMMEDIATE', this.#timeoutMs, this.#directory, () => {
      this.#since = 0
      this.#signalWaiting()
    })
    if (this.#since === 0) this.#since = performance.now()
  }

  #isAnyWaiting(): boolean {
    try {
      return Math.abs(Date.now() - statSync(this.#directory.waiting).mtimeMs) < waitingLifetimeMs
    } catch {
      return false
    }
  }

  /** Errors are ignored: this only improves fairness, and the lock works without it. */
  #signalWaiting(): void {
    try {
      const now = new Date()
      utimesSync(this.#directory.waiting, now, now)
    } catch {}
  }
}

/**
 * Tries to begin until it succeeds. Calls `refused` after each failed attempt. The binding's own wait would block this
 * process.
 * @throws {StateError} `locked` after the timeout
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
      throw new StateError(
        'locked',
        `${held}: end the process that hangs (find it with: fuser ${database}), or try again.`,
      )
    }
    refused()
    await sleep(1 + Math.random() * (longestPauseMs - 1))
  }
}
