import { limits } from '../../protocol/limits.ts'
import type { Username } from '../../protocol/names.ts'
import { type Deferred, defer } from '../../util/deferred.ts'
import { type AppendItem, type AppendResult, type Inboxes, StoreUnavailableError } from '../store/store.ts'

/** Recipients of one stream for whom a refused send must come again first: more than any agent has, little enough to remember. */
const maxHeldRecipients = 10_000

/** What one connection sends. Lives as long as the connection; HTTP calls have one each. */
export class SendStream {
  readonly id: string
  /** Whether sends of it are under way. */
  busy = false
  /** False once the store may have lost what the sender was told was stored: what it sends before it knows would overtake that. */
  readonly isCurrent: () => boolean
  readonly #refusals = new Map<Username, { id: string; result: AppendResult }>()

  constructor(id: string, isCurrent: () => boolean = () => true) {
    this.id = id
    this.isCurrent = isCurrent
  }

  /** The refusal that holds this send up: of another id, which must come again first. */
  refusalFor(item: Send): { id: string; result: AppendResult } | undefined {
    const refusal = this.#refusals.get(item.to)
    return refusal?.id === item.id ? undefined : refusal
  }

  /** Whether more is held up than can be remembered; the stream must end then, or a successor could overtake. */
  get isFull(): boolean {
    return this.#refusals.size >= maxHeldRecipients
  }

  /** Keeps the first refusal per recipient, and forgets it once its id has got a final answer. */
  settled(item: Send, result: AppendResult): void {
    const held = this.refusalFor(item) !== undefined
    if (held) return
    if (mayRetry(result)) this.#refusals.set(item.to, { id: item.id, result })
    else this.#refusals.delete(item.to)
  }
}

export type Send = Omit<AppendItem, 'stream'>

/** `refused`: it may not be stored any more, and waits only for the answer in its turn. */
type Waiting = { stream: SendStream; item: Send; bytes: number; refused: boolean; answer: Deferred<AppendResult> }

/** Calls under way at once: hides the way to Redis and back, and keeps batches large. */
const maxInFlight = 4
/** Sends that wait for Redis, bytes of all connections together: more is `unavailable`, or a slow Redis would fill memory. */
const maxWaitingBytes = 33_554_432
/** An envelope's fields besides its body, bytes. */
const envelopeOverhead = 256

const unavailable: AppendResult = { status: 'unavailable' }
const mayRetry = ({ status }: AppendResult): boolean => status === 'inbox_full' || status === 'unavailable'

/**
 * All appends of one event-loop turn as one `store.append`. Sends of a stream are appended in order: one that has sends under way
 * waits for them, and after a refusal that a retry may mend later ones to the same recipient fail alike until the
 * refused id comes again (PROTOCOL.md section 6).
 */
export class SendBatch {
  readonly #inboxes: Pick<Inboxes, 'append'>
  readonly #onError: (error: unknown) => void
  readonly #onBatch: (items: number) => void
  #waiting: Waiting[] = []
  #waitingBytes = 0
  #inFlight = 0
  #scheduled = false
  #whenIdle: Deferred<void> | undefined

  /** `onError` hears what the store threw besides being out of reach; `onBatch` the size of each call. */
  constructor(
    inboxes: Pick<Inboxes, 'append'>,
    onError: (error: unknown) => void = () => {},
    onBatch: (items: number) => void = () => {},
  ) {
    this.#inboxes = inboxes
    this.#onError = onError
    this.#onBatch = onBatch
  }

  /** Never rejects: a store out of reach, or too much waiting for it, is `unavailable`. */
  append(stream: SendStream, item: Send): Promise<AppendResult> {
    const bytes = item.body.length + envelopeOverhead
    if (this.#waitingBytes + bytes > maxWaitingBytes) return this.refuse(stream, item)
    return this.#enqueue({ stream, item, bytes, refused: false, answer: defer() })
  }

  /** A send that is refused, retryable, without being tried; those behind it wait for its id all the same. */
  refuse(stream: SendStream, item: Send): Promise<AppendResult> {
    return this.#enqueue({ stream, item: { ...item, body: '' }, bytes: 0, refused: true, answer: defer() })
  }

  /** Resolves when nothing waits and nothing is under way. */
  idle(): Promise<void> {
    if (this.#isIdle()) return Promise.resolve()
    this.#whenIdle ??= defer<void>()
    return this.#whenIdle.promise
  }

  #isIdle(): boolean {
    return this.#inFlight === 0 && this.#waiting.length === 0
  }

  #enqueue(waiting: Waiting): Promise<AppendResult> {
    this.#waiting.push(waiting)
    this.#waitingBytes += waiting.bytes
    this.#schedule()
    return waiting.answer.promise
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      this.#flush()
    })
  }

  #flush(): void {
    while (this.#inFlight < maxInFlight) {
      const batch = this.#take()
      if (batch.length === 0) break
      void this.#run(batch)
    }
    if (!this.#isIdle()) return
    this.#whenIdle?.resolve()
    this.#whenIdle = undefined
  }

  /** The next call, oldest first. A stream that has sends under way is left out; sends that must fail alike do so here. */
  #take(): Waiting[] {
    const batch: Waiting[] = []
    const rest: Waiting[] = []
    const held = new Set<SendStream>()
    const inBatch = new Set<SendStream>()
    let bytes = 0
    let full = false
    for (const waiting of this.#waiting) {
      const { stream } = waiting
      full ||=
        batch.length === limits.maxBatchItems || (batch.length > 0 && bytes + waiting.bytes > limits.maxBatchBytes)
      if (full || stream.busy || held.has(stream)) rest.push(waiting)
      else if (this.#isRefused(waiting)) {
        if (!inBatch.has(stream)) this.#refuseNow(waiting)
        else {
          held.add(stream)
          rest.push(waiting)
        }
      } else {
        batch.push(waiting)
        inBatch.add(stream)
        bytes += waiting.bytes
      }
    }
    this.#waiting = rest
    for (const stream of inBatch) stream.busy = true
    return batch
  }

  #isRefused({ stream, item, refused }: Waiting): boolean {
    return refused || stream.refusalFor(item) !== undefined || !stream.isCurrent()
  }

  #refuseNow(waiting: Waiting): void {
    this.#settle(waiting, waiting.stream.refusalFor(waiting.item)?.result ?? unavailable)
  }

  async #run(batch: readonly Waiting[]): Promise<void> {
    this.#inFlight += 1
    this.#onBatch(batch.length)
    const results = await this.#appendAll(batch.map(({ stream, item }) => ({ ...item, stream: stream.id })))
    this.#inFlight -= 1
    for (const [index, waiting] of batch.entries()) {
      waiting.stream.busy = false
      this.#settle(waiting, results[index] ?? unavailable)
    }
    this.#flush()
  }

  async #appendAll(items: AppendItem[]): Promise<AppendResult[]> {
    try {
      return await this.#inboxes.append(items)
    } catch (error) {
      if (error instanceof StoreUnavailableError) this.#refuseWaiting()
      else this.#onError(error)
      return items.map(() => unavailable)
    }
  }

  /** What waited for a call that failed would wait as long for its own. */
  #refuseWaiting(): void {
    for (const waiting of this.#waiting) waiting.refused = true
  }

  #settle({ stream, item, bytes, answer }: Waiting, result: AppendResult): void {
    this.#waitingBytes -= bytes
    stream.settled(item, result)
    answer.resolve(result)
  }
}
