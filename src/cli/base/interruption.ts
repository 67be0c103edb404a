/** How long a command may take to end after SIGINT or SIGTERM, ms: with the rest of the process within a second. */
const graceMs = 800

const numbers = { SIGINT: 2, SIGTERM: 15 } as const
type EndSignal = keyof typeof numbers

/** SIGINT and SIGTERM as one `AbortSignal`; whoever does not heed it in time, or is told twice, is cut short. */
export class Interruption {
  readonly #controller = new AbortController()
  readonly #names: readonly EndSignal[] = ['SIGINT', 'SIGTERM']
  #timer: ReturnType<typeof setTimeout> | undefined
  #exitCode = 0
  /** A command for which being stopped is the way to end ends with 0. */
  isOrderly = false

  constructor() {
    for (const name of this.#names) process.on(name, this.#heed)
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** What to end with: 0, or 128 and the signal's number. */
  get exitCode(): number {
    return this.isOrderly ? 0 : this.#exitCode
  }

  end(): void {
    for (const name of this.#names) process.off(name, this.#heed)
    clearTimeout(this.#timer)
  }

  readonly #heed = (name: NodeJS.Signals): void => {
    if (this.signal.aborted) process.exit(this.exitCode)
    this.#exitCode = 128 + numbers[name === 'SIGTERM' ? name : 'SIGINT']
    // All that must last is on disk already, whatever is cut short.
    this.#timer = setTimeout(() => process.exit(this.exitCode), graceMs)
    this.#controller.abort()
  }
}
