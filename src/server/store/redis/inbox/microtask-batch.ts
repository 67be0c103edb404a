import { type Deferred, defer } from '../../../../util/deferred.ts'

type Waiting<Ask, Answer> = { ask: Ask; answer: Deferred<Answer> }

/** Combines requests of one microtask into calls of at most `maxItems` requests. Each request gets its own result. */
export class MicrotaskBatch<Ask, Answer> {
  readonly #maxItems: number
  readonly #call: (asks: readonly Ask[]) => Promise<readonly Answer[]>
  #waiting: Waiting<Ask, Answer>[] = []

  /** `call` must resolve to one result per request, in the same order. */
  constructor(maxItems: number, call: (asks: readonly Ask[]) => Promise<readonly Answer[]>) {
    this.#maxItems = maxItems
    this.#call = call
  }

  /** Rejects with the error of the whole call. */
  ask(ask: Ask): Promise<Answer> {
    if (this.#waiting.length === 0) queueMicrotask(() => this.#flush())
    const answer = defer<Answer>()
    this.#waiting.push({ ask, answer })
    return answer.promise
  }

  #flush(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (let at = 0; at < waiting.length; at += this.#maxItems) {
      void this.#run(waiting.slice(at, at + this.#maxItems))
    }
  }

  async #run(batch: readonly Waiting<Ask, Answer>[]): Promise<void> {
    try {
      const answers = await this.#call(batch.map(({ ask }) => ask))
      if (answers.length !== batch.length) throw new TypeError('Redis returned a wrong number of results')
      for (const [at, one] of answers.entries()) batch[at]?.answer.resolve(one)
    } catch (error) {
      for (const { answer } of batch) answer.reject(error)
    }
  }
}
