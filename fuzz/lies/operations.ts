import { sleep } from '../../src/util/signal.ts'
import type { Ledger } from './ledger.ts'

type Running = { what: string; since: number; boundMs: number }

/** Time that a busy machine may add to any bound, ms. */
const slackMs = 60_000

/** The calls of an application that have not settled, and the time that each may take. */
export class Operations {
  readonly #ledger: Ledger
  readonly #checkError: (what: string, error: unknown) => void
  readonly #running = new Set<Running>()
  readonly counts = new Map<string, number>()

  constructor(ledger: Ledger, checkError: (what: string, error: unknown) => void) {
    this.#ledger = ledger
    this.#checkError = checkError
  }

  /**
   * Runs a call. Never rejects.
   * @param boundMs how long the call may take while the node lies; by default, until the node is honest again
   */
  async run(what: string, call: () => Promise<unknown>, boundMs = Number.POSITIVE_INFINITY): Promise<void> {
    const running = { what, since: performance.now(), boundMs: boundMs + slackMs }
    this.#running.add(running)
    try {
      await call()
      this.count(`${what}: done`)
    } catch (error) {
      this.count(`${what}: ${codeOf(error)}`)
      this.#checkError(what, error)
    } finally {
      this.#running.delete(running)
      this.#checkTime(running)
    }
  }

  /** As `run`, but gives up waiting, and reports that, when the time is over. */
  async within(what: string, call: () => Promise<unknown>, boundMs: number): Promise<void> {
    const over = new AbortController()
    const late = sleep(boundMs + slackMs, over.signal).then(
      () => this.#ledger.fault(`${what} hangs`),
      () => {},
    )
    await Promise.race([this.run(what, call), late])
    over.abort()
  }

  get open(): string[] {
    return [...this.#running].map(({ what }) => what)
  }

  #checkTime({ what, since, boundMs }: Running): void {
    const ms = performance.now() - since
    if (ms > boundMs) this.#ledger.fault(`${what} took ${Math.round(ms / 1_000)} s`)
  }

  count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1)
  }
}

const codeOf = (error: unknown): string =>
  error instanceof Error ? ('code' in error ? String(error.code) : error.name) : typeof error
