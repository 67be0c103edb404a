/** How long a command may take to end after SIGINT or SIGTERM, ms. The whole process ends within a second. */
const graceMs = 800

const numbers = { SIGINT: 2, SIGTERM: 15 } as const
type EndSignal = keyof typeof numbers

/** SIGINT and SIGTERM as one `AbortSignal`. A second signal, or a command that ends too late, exits the process. */
export class Interruption {
  readonly #controller = new AbortController()
  readonly #names: readonly EndSignal[] = ['SIGINT', 'SIGTERM']
  #timer: ReturnType<typeof setTimeout> | undefined
  #exitCode = 0
  /** True for a command that normally runs until a signal: it exits with 0. */
  isOrderly = false

  constructor() {
    for (const name of this.#names) process.on(name, this.#onSignal)
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** The exit code: 0, or 128 plus the number of the signal. */
  get exitCode(): number {
    return this.isOrderly ? 0 : this.#exitCode
  }

  end(): void {
    for (const name of this.#names) process.off(name, this.#onSignal)
    clearTimeout(this.#timer)
  }

  readonly #onSignal = (name: NodeJS.Signals): void => {
    if (this.signal.aborted) process.exit(this.exitCode)
    this.#exitCode = 128 + numbers[name === 'SIGTERM' ? name : 'SIGINT']
    // Everything that must survive is on disk already.
    this.#timer = setTimeout(() => process.exit(this.exitCode), graceMs)
    this.#controller.abort()
  }
}
