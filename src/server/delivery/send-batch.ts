import { limits } from '../../protocol/limits.ts'
import type { Username } from '../../protocol/names.ts'
import { type Deferred, defer } from '../../util/deferred.ts'
import { type AppendItem, type AppendResult, type Inboxes, StoreUnavailableError } from '../store/store.ts'

/**
 * The most recipients of one stream that are blocked by a refused send. More than an agent writes to; bounds memory.
 */
const maxHeldRecipients = 10_000

/** The sends of one connection, in order. Lives as long as the connection; an HTTP call has one of its own. */
export class SendStream {
  readonly id: string
  /** True while an append with sends of this stream is in progress. */
  busy = false
  /**
   * Returns false once the store may have lost accepted sends. Later sends must be refused until the sender knows: they
   * would overtake the lost ones.
   */
  readonly isCurrent: () => boolean
  readonly #refusals = new Map<Username, { id: string; result: AppendResult }>()

  constructor(id: string, isCurrent: () => boolean = () => true) {
    this.id = id
    this.isCurrent = isCurrent
  }

  /** Returns the refusal of an earlier send to the same recipient that must be repeated before this send. */
  refusalFor(item: Send): { id: string; result: AppendResult } | undefined {
    const refusal = this.#refusals.get(item.to)
    return refusal?.id === item.id ? undefined : refusal
  }

  /**
   * True if too many recipients are blocked to remember more. The stream must end then, or a later send could overtake.
   */
  get isFull(): boolean {
    return this.#refusals.size >= maxHeldRecipients
  }

  /** Records the first refusal for each recipient, and removes it once its id has a final result. */
  settled(item: Send, result: AppendResult): void {
    const held = this.refusalFor(item) !== undefined
    if (held) return
    if (mayRetry(result)) this.#refusals.set(item.to, { id: item.id, result })
    else this.#refusals.delete(item.to)
  }
}

export type Send = Omit<AppendItem, 'stream'>

/** `refused`: not to be stored any more; it only waits until its answer is next in order. */
type Waiting = { stream: SendStream; item: Send; bytes: number; refused: boolean; answer: Deferred<AppendResult> }

/** Concurrent calls of the store: enough to hide the round trip, few enough to keep batches large. */
const maxInFlight = 4
/** The most bytes of all connections that wait for the store; more is `unavailable`. A slow Redis would fill memory. */
const maxWaitingBytes = 33_554_432
/** Size estimate of an envelope's fields besides its body, bytes. */
const envelopeOverhead = 256

const unavailable: AppendResult = { status: 'unavailable' }
const retried: ReadonlySet<AppendResult['status']> = new Set(['inbox_full', 'no_room', 'unavailable'])
const mayRetry = ({ status }: AppendResult): boolean => retried.has(status)

/**
 * Appends the sends of one event-loop turn with one call of the store. Sends of a stream are appended in order: a send
 * waits for the appends of its stream in progress. After a refusal that may be retried, later sends to the same
 * recipient are refused too until the refused id is repeated (PROTOCOL.md section 6).
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

  /**
   * `onError` gets unexpected errors of the store, not `StoreUnavailableError`; `onBatch` gets the size of each call.
   */
  constructor(
    inboxes: Pick<Inboxes, 'append'>,
    onError: (error: unknown) => void = () => {},
    onBatch: (items: number) => void = () => {},
  ) {
    this.#inboxes = inboxes
    this.#onError = onError
    this.#onBatch = onBatch
  }

  /** Never rejects. `unavailable` if the store is out of reach, or if too much waits for it. */
  append(stream: SendStream, item: Send): Promise<AppendResult> {
    const bytes = item.body.length + envelopeOverhead
    if (this.#waitingBytes + bytes > maxWaitingBytes) return this.refuse(stream, item)
    return this.#enqueue({ stream, item, bytes, refused: false, answer: defer() })
  }

  /** Refuses a send as `unavailable` without trying it. Later sends to its recipient wait for its id as usual. */
  refuse(stream: SendStream, item: Send): Promise<AppendResult> {
    return this.#enqueue({ stream, item: { ...item, body: '' }, bytes: 0, refused: true, answer: defer() })
  }

  /** Resolves when no send waits and no append is in progress. */
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

  /**
   * Takes the sends for the next call, oldest first. Skips streams with an append in progress, and settles sends that
   * an earlier refusal blocks.
   */
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

  /** Refuses everything that waits: another call would take as long as the failed one. */
  #refuseWaiting(): void {
    for (const waiting of this.#waiting) waiting.refused = true
  }

  #settle({ stream, item, bytes, answer }: Waiting, result: AppendResult): void {
    this.#waitingBytes -= bytes
    stream.settled(item, result)
    answer.resolve(result)
  }
}
