/** Lets so many through in each turn of the event loop, in the order they came, so that what comes in thousands leaves others their share of it. */
export class Turnstile {
  readonly #perTurn: number
  #passed = 0
  #waiting: (() => void)[] = []

  constructor(perTurn: number) {
    this.#perTurn = perTurn
  }

  /** Resolves when it is one's turn: at once, unless so many have passed in this one. */
  async pass(): Promise<void> {
    if (this.#passed === 0) setImmediate(() => this.#turn())
    if (this.#passed >= this.#perTurn) return new Promise(resolve => this.#waiting.push(resolve))
    this.#passed += 1
  }

  #turn(): void {
    const next = this.#waiting.splice(0, this.#perTurn)
    this.#passed = next.length
    if (this.#passed > 0) setImmediate(() => this.#turn())
    for (const go of next) go()
  }
}
