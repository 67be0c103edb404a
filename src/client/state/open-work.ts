import { StateError } from './state-error.ts'

/** The running operations of a store. Closing waits for them and refuses later calls. */
export class OpenWork {
  readonly #running = new Set<Promise<unknown>>()
  readonly #what: string
  #closed = false

  /** @param what names the store in the error */
  constructor(what: string) {
    this.#what = what
  }

  /** @throws {StateError} `closed` */
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

  /** Refuses new work, and waits until all running work has succeeded or failed. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.allSettled(this.#running)
  }
}
