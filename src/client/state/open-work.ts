import { StateError } from './state-error.ts'

/** What is under way on a store, so that closing can wait for it and later calls are refused. */
export class OpenWork {
  readonly #running = new Set<Promise<unknown>>()
  readonly #what: string
  #closed = false

  /** `what` names the store in the error. */
  constructor(what: string) {
    this.#what = what
  }

  /** @throws StateError `closed` */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closed) throw new StateError('closed', `${this.#what} is closed: open it again.`)
    const running = work()
    this.#running.add(running)
    try {
      return await running
    } finally {
      this.#running.delete(running)
    }
  }

  /** Refuses new work and waits for what has been started, also where it fails. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.allSettled(this.#running)
  }
}
