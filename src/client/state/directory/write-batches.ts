import { BufferedTransaction } from '../buffered-transaction.ts'
import type { StateTransaction } from '../state-store.ts'
import type { SqliteConnection } from './sqlite-connection.ts'
import type { WriteTurn } from './write-turn.ts'

/**
 * Waiting transactions share one commit, and so one sync of the disk, up to this time and number. Then other processes
 * may write.
 */
const batchMs = 10
const batchTransactions = 100

type Outcome = { failed: false } | { failed: true; error: unknown }

interface Waiting {
  /**
   * Runs the work inside the open batch. Returns a function to call with the batch's outcome. Rejects if the batch must
   * fail.
   */
  run: () => Promise<(outcome: Outcome) => void>
  settle: (outcome: Outcome) => void
}

interface WriteBatchesOptions {
  connection: SqliteConnection
  turn: WriteTurn
  /** Called inside each batch before the first work. If it throws, the batch fails. */
  check: () => void
  /** Called after each batch that changed something. */
  committed: () => void
}

/** Runs the transactions of one process in the order of the calls, several in one commit. */
export class WriteBatches {
  readonly #options: WriteBatchesOptions
  #waiting: Waiting[] = []
  #running = false
  #changed = false

  constructor(options: WriteBatchesOptions) {
    this.#options = options
  }

  run<T>(work: (tx: StateTransaction) => Promise<T> | T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const settle = (outcome: Outcome) => outcome.failed && reject(outcome.error)
      this.#waiting.push({
        settle,
        run: async () => {
          const done = await this.#perform(work)
          if (done.failed) return () => reject(done.error)
          return outcome => (outcome.failed ? reject(outcome.error) : resolve(done.result))
        },
      })
      if (!this.#running) void this.#drain()
    })
  }

  async #drain(): Promise<void> {
    this.#running = true
    // Calls made before the next microtask join the first batch.
    await null
    while (this.#waiting.length > 0) await this.#batch()
    this.#running = false
  }

  async #batch(): Promise<void> {
    const { connection, turn, check, committed } = this.#options
    const settles: ((outcome: Outcome) => void)[] = []
    this.#changed = false
    let outcome: Outcome = { failed: false }
    try {
      await turn.take()
      check()
      await this.#runWaiting(settles)
      connection.commit()
    } catch (error) {
      outcome = { failed: true, error }
      connection.rollback()
      // The batch failed before any transaction ran: reject the first one, retry the rest.
      if (settles.length === 0) settles.push(...this.#waiting.splice(0, 1).map(({ settle }) => settle))
    }
    for (const settle of settles) settle(outcome)
    if (this.#changed && !outcome.failed) committed()
  }

  async #runWaiting(settles: ((outcome: Outcome) => void)[]): Promise<void> {
    const end = performance.now() + batchMs
    do {
      const next = this.#waiting.shift()
      if (!next) return
      settles.push(next.settle)
      settles[settles.length - 1] = await next.run()
    } while (settles.length < batchTransactions && performance.now() < end)
  }

  /** Runs one work and applies its changes when it has succeeded, so that failed work leaves no trace in the batch. */
  async #perform<T>(
    work: (tx: StateTransaction) => Promise<T> | T,
  ): Promise<{ failed: false; result: T } | { failed: true; error: unknown }> {
    const tx = new BufferedTransaction(this.#options.connection)
    let result: T
    try {
      result = await work(tx)
    } catch (error) {
      tx.end()
      return { failed: true, error }
    }
    const changes = tx.end()
    // An error here fails the batch: SQLite may have rolled it back as a whole.
    this.#options.connection.apply(changes)
    if (changes.size > 0) this.#changed = true
    return { failed: false, result }
  }
}
