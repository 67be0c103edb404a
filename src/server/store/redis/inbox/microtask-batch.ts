import { type Deferred, defer } from '../../../../util/deferred.ts'

type Waiting<Ask, Answer> = { ask: Ask; answer: Deferred<Answer> }

/** What many ask in one turn of the event loop, asked together: up to so many a call, each with its own answer. */
export class MicrotaskBatch<Ask, Answer> {
  readonly #most: number
  readonly #call: (asks: readonly Ask[]) => Promise<readonly Answer[]>
  #waiting: Waiting<Ask, Answer>[] = []

  /** `call` answers one for each that it was given, in their order. */
  constructor(most: number, call: (asks: readonly Ask[]) => Promise<readonly Answer[]>) {
    this.#most = most
    this.#call = call
  }

  /** Rejects with what the whole call failed of. */
  ask(ask: Ask): Promise<Answer> {
    if (this.#waiting.length === 0) queueMicrotask(() => this.#flush())
    const answer = defer<Answer>()
    this.#waiting.push({ ask, answer })
    return answer.promise
  }

  #flush(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (let at = 0; at < waiting.length; at += this.#most) void this.#run(waiting.slice(at, at + this.#most))
  }

  async #run(batch: readonly Waiting<Ask, Answer>[]): Promise<void> {
    try {
      const answers = await this.#call(batch.map(({ ask }) => ask))
      if (answers.length !== batch.length) throw new TypeError('Redis answers something else than was asked')
      for (const [at, one] of answers.entries()) batch[at]?.answer.resolve(one)
    } catch (error) {
      for (const { answer } of batch) answer.reject(error)
    }
  }
}
