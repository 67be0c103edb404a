import { ProtocolError } from '../../protocol/errors.ts'
import type { Username } from '../../protocol/names.ts'
import { type Deferred, defer } from '../../util/deferred.ts'
import { raceAbort } from '../../util/signal.ts'
import { NotOpenError, RequestRefusedError, RequestTimeoutError } from '../base/errors.ts'
import { newId } from '../base/new-id.ts'
import type { ClientContext } from '../connection/client-context.ts'
import type { Inbox } from '../inbox/inbox.ts'
import type { Attendance } from '../inbox/listener-lease.ts'
import { noteReceipt, type Receipts } from '../inbox/receipts.ts'
import {
  AskedRecord,
  closeAsked,
  closeRequest,
  isPart,
  maxHops,
  queueReply,
  surface,
  waitsOnUs,
  wouldDeadlock,
} from '../inbox/request-records.ts'
import { type Content, encodeMedia } from '../messages/content.ts'
import { InboxRecord, type MessageView, toMessage } from '../messages/message.ts'
import type { Outbox } from '../outbox/outbox.ts'
import { keys } from '../records/keys.ts'

/** A message that is answered: what `receive` and the handler of requests were given. */
export type Answered = Pick<MessageView, 'id' | 'from' | 'hops'>

export type RequestOptions = {
  /** How long to wait for the reply, ms; default 30 000. The peer is told, and a node keeps the request no longer. */
  timeoutMs?: number
  /** Gives the request up; the peer is told. */
  signal?: AbortSignal
  /** Called with each part that the peer sends before its reply. */
  onPart?: (part: MessageView) => void
  /** What this request comes of: it carries the count of hops on, and waits no longer than that one's asker does. */
  inReplyTo?: Answered & { deadline?: number | undefined }
}

const defaultTimeoutMs = 30_000
const maxTimeoutMs = 86_400_000

type Waiter = Deferred<MessageView> & { onPart: ((part: MessageView) => void) | undefined }
type Parts = { context: ClientContext; outbox: Outbox; inbox: Inbox; receipts: Receipts; attendance: Attendance }

/** Asks, and answers. Both are in the state before anything leaves, so that a process that ends loses neither. */
export class Requests {
  readonly #parts: Parts
  readonly #waiting = new Map<string, Waiter>()
  readonly #working = new Map<string, AbortController>()
  #looking: Promise<void> | undefined
  #again = false
  #stopWatching: (() => void) | undefined

  constructor(parts: Parts) {
    this.#parts = parts
    const { closing } = parts.context
    const end = () => {
      for (const { reject } of this.#waiting.values()) reject(closing.reason)
    }
    closing.addEventListener('abort', end, { once: true })
  }

  /**
   * @throws {RequestTimeoutError} {RequestRefusedError} the signal's reason; what `send` throws.
   */
  async ask(to: Username, content: Content, options: RequestOptions): Promise<MessageView> {
    const { context, outbox } = this.#parts
    const { signal, onPart, inReplyTo } = options
    signal?.throwIfAborted()
    const timeoutMs = timeoutOf(options, context.now())
    const hops = nextHop(inReplyTo)
    const body = encodeMedia(content, { kind: 'request', timeoutMs, ...(hops > 0 && { hops }) })
    const id = newId(context.random)
    await this.#note(to, id, timeoutMs)
    const waiter: Waiter = { ...defer<MessageView>(), onPart }
    waiter.promise.catch(() => {})
    this.#wait(id, waiter)
    const done = new AbortController()
    try {
      const ttlS = Math.ceil(timeoutMs / 1_000)
      const { accepted } = await outbox.send(to, { id, kind: 'application', body, ttlS })
      accepted.catch(waiter.reject)
      return await this.#answerTo({ to, id, waiter, timeoutMs, signal, done: done.signal })
    } finally {
      done.abort()
      this.#waiting.delete(id)
      if (this.#waiting.size === 0) this.#unwatch()
      await this.#forget(to, id)
    }
  }

  /** Answers a request. It counts once: later ones are refused here. @throws {NotOpenError} {TooLargeError} */
  async reply({ from, id, hops }: Answered, content: Content): Promise<void> {
    await this.#settle(from, id, encodeMedia(content, { kind: 'reply', re: id, hops: hops + 1 }))
  }

  /** Answers a request with a refusal. @throws {NotOpenError} */
  async refuse({ from, id, hops }: Answered, { code, message }: { code: string; message: string }): Promise<void> {
    const error = { code, message: message.slice(0, 1_000) }
    await this.#settle(from, id, encodeMedia('', { kind: 'reply', re: id, hops: hops + 1, error }))
  }

  /** Sends a part of an answer; the reply is still to come. @throws {NotOpenError} {TooLargeError} */
  async part({ from, id, hops }: Answered, content: Content): Promise<void> {
    const { context, outbox } = this.#parts
    const body = encodeMedia(content, { kind: 'part', re: id, hops: hops + 1 })
    await context.store.transaction(async tx => {
      if (!(await tx.get(keys.open(from, id)))) throw new NotOpenError(id)
      await queueReply(tx, context, from, body)
    })
    outbox.pump(from)
  }

  /** Whoever works on a request learns that nobody waits for it any more. */
  working(id: string): AbortController {
    const controller = new AbortController()
    this.#working.set(id, controller)
    return controller
  }

  /** The request is done with, one way or another. */
  worked(id: string): void {
    this.#working.delete(id)
  }

  /** A peer gave its request up. */
  withdrawn(from: Username, id: string): void {
    this.#parts.context.events.emit('withdrawn', { from, id })
    this.#working.get(id)?.abort(new RequestRefusedError('withdrawn', `${from} gave its request up`))
  }

  /** Something is there for somebody who waits. */
  answered(): void {
    if (this.#looking) {
      this.#again = true
      return
    }
    this.#looking = this.#look()
      .catch(() => {})
      .finally(() => {
        this.#looking = undefined
        if (this.#again) {
          this.#again = false
          this.answered()
        }
      })
  }

  /** Replies whose asker is gone become messages. */
  async resume(): Promise<void> {
    const { context, inbox } = this.#parts
    const surfaced = await context.store.transaction(tx => surface(tx, context))
    for (let count = 0; count < surfaced; count += 1) inbox.stored()
  }

  async #answerTo(wait: {
    to: Username
    id: string
    waiter: Waiter
    timeoutMs: number
    signal: AbortSignal | undefined
    done: AbortSignal
  }): Promise<MessageView> {
    const { to, id, waiter, timeoutMs, signal, done } = wait
    const { attendance } = this.#parts
    attendance.attend(done).catch(waiter.reject)
    const timer = setTimeout(() => waiter.reject(new RequestTimeoutError(to, timeoutMs)), timeoutMs)
    try {
      const answer = await (signal ? raceAbort(waiter.promise, signal) : waiter.promise)
      if (answer.error) throw new RequestRefusedError(answer.error.code, answer.error.message)
      return answer
    } catch (error) {
      if (signal?.aborted && error === signal.reason) await this.#cancel(to, id)
      if (error instanceof ProtocolError || !isExpired(error)) throw error
      throw new RequestTimeoutError(to, timeoutMs)
    } finally {
      clearTimeout(timer)
    }
  }

  /** Two agents that wait for each other would wait for ever: who is waited for does not ask back. */
  async #note(to: Username, id: string, timeoutMs: number): Promise<void> {
    const { context } = this.#parts
    const deadline = context.now() + timeoutMs
    await context.store.transaction(async tx => {
      if (await waitsOnUs(tx, context, to)) throw new RequestRefusedError(wouldDeadlock.code, wouldDeadlock.message)
      tx.put(keys.asked(to, id), AskedRecord.encode({ deadline, state: 'open' }))
    })
  }

  /** What is not answered by now is late; what is stays known for a while. */
  async #forget(to: Username, id: string): Promise<void> {
    const { context, inbox } = this.#parts
    if (context.closing.aborted) return
    const late = await context.store.transaction(tx => closeAsked(tx, to, id))
    for (let count = 0; count < late; count += 1) inbox.stored()
  }

  async #cancel(to: Username, id: string): Promise<void> {
    const { context, outbox } = this.#parts
    await context.store.transaction(tx => queueReply(tx, context, to, encodeMedia('', { kind: 'cancel', re: id })))
    outbox.pump(to)
  }

  /** The answer and the end of the request are one commit. */
  async #settle(from: Username, id: string, body: Uint8Array): Promise<void> {
    const { context, outbox, inbox, receipts } = this.#parts
    const { inboxKey } = await context.store.transaction(async tx => {
      const closed = await closeRequest(tx, from, id)
      if (!closed || closed.deadline <= context.now()) throw new NotOpenError(id)
      await queueReply(tx, context, from, body)
      noteReceipt(tx, from, id, 'read')
      return closed
    })
    if (inboxKey !== undefined) inbox.removed(inboxKey)
    receipts.schedule(from)
    outbox.pump(from)
  }

  #wait(id: string, waiter: Waiter): void {
    this.#waiting.set(id, waiter)
    this.#stopWatching ??= this.#parts.context.store.onChange(() => this.answered())
  }

  #unwatch(): void {
    this.#stopWatching?.()
    this.#stopWatching = undefined
  }

  /** Hands over what came for those who wait in this process. */
  async #look(): Promise<void> {
    const { context } = this.#parts
    const entries = await context.store.read(tx => tx.list(keys.answers()))
    const ours = entries.filter(([key]) => this.#waiting.has(askedIn(key)))
    if (ours.length === 0) return
    const trusts = new Map<Username, MessageView['verified']>()
    await context.store.transaction(async tx => {
      for (const [key, bytes] of ours) {
        tx.delete(key)
        const { from } = toMessage(InboxRecord.decode(bytes), 'first-use')
        const { trust } = await context.loadPeer(tx, from)
        trusts.set(from, trust === 'verified' ? 'verified' : 'first-use')
      }
    })
    for (const [key, bytes] of ours) this.#hand(askedIn(key), InboxRecord.decode(bytes), trusts)
  }

  #hand(id: string, record: InboxRecord, trusts: Map<Username, MessageView['verified']>): void {
    const waiter = this.#waiting.get(id)
    const first = toMessage(record, 'first-use')
    const message: MessageView = { ...first, verified: trusts.get(first.from) ?? 'first-use' }
    if (isPart(record)) waiter?.onPart?.(message)
    else waiter?.resolve(message)
  }
}

const askedIn = (key: string): string => key.split('/')[2] ?? ''

const isExpired = (error: unknown): boolean => error instanceof Error && error.name === 'ExpiredError'

function timeoutOf({ timeoutMs = defaultTimeoutMs, inReplyTo }: RequestOptions, nowMs: number): number {
  if (!Number.isInteger(timeoutMs) || timeoutMs < 1 || timeoutMs > maxTimeoutMs) {
    throw new RangeError(`timeoutMs is a whole number from 1 to ${maxTimeoutMs}`)
  }
  const left = inReplyTo?.deadline === undefined ? timeoutMs : inReplyTo.deadline - nowMs
  if (left < 1) throw new RequestRefusedError('too_late', 'nobody waits any more for what this request comes of')
  return Math.min(timeoutMs, left)
}

/** @throws {RequestRefusedError} `hop_limit` */
export function nextHop(inReplyTo: { hops: number } | undefined): number {
  const hops = inReplyTo ? inReplyTo.hops + 1 : 0
  if (hops <= maxHops) return hops
  const message = `this would be answer number ${hops} in one chain, and ${maxHops} is the most; a person should look at it`
  throw new RequestRefusedError('hop_limit', message)
}
