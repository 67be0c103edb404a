import { ProtocolError } from '../../protocol/errors.ts'
import type { Username } from '../../protocol/names.ts'
import { coalesce } from '../../util/coalesce.ts'
import { type Deferred, defer } from '../../util/deferred.ts'
import { raceAbort } from '../../util/signal.ts'
import { cutText } from '../../util/well-formed.ts'
import { NotOpenError, RequestRefusedError, RequestTimeoutError, WithheldError } from '../base/errors.ts'
import { newId } from '../base/new-id.ts'
import type { ClientContext } from '../connection/client-context.ts'
import type { Inbox } from '../inbox/inbox.ts'
import type { ListenerLease } from '../inbox/listener-lease.ts'
import { noteReceipt, type Receipts } from '../inbox/receipts.ts'
import {
  AskedRecord,
  closeAsked,
  closeRequest,
  isPart,
  queueReply,
  releaseLateReplies,
  waitsOnUs,
  wouldDeadlock,
} from '../inbox/request-records.ts'
import { type Content, encodeMedia } from '../messages/content.ts'
import { nextHop } from '../messages/hops.ts'
import { InboxRecord, type MessageView, toMessage } from '../messages/message.ts'
import { isShown, readStanding } from '../messages/standing.ts'
import type { Outbox } from '../outbox/outbox.ts'
import { keys } from '../records/keys.ts'

/** The message that a reply answers, as `receive`, the mailbox or a request handler has shown it. */
export type Answered = Pick<MessageView, 'id' | 'from' | 'hops'>

export type RequestOptions = {
  /** How long to wait for the reply, ms; default 30 000. The peer learns it, and a node keeps the request no longer. */
  timeoutMs?: number
  /** Gives the request up and withdraws it at the peer. */
  signal?: AbortSignal
  /** Called with each part that the peer sends before its reply. */
  onPart?: (part: MessageView) => void
  /** The request that caused this one: the hop count continues, and this request waits no longer than that one. */
  inReplyTo?: Answered & { deadline?: number | undefined }
}

const defaultTimeoutMs = 30_000

type Waiter = Deferred<MessageView> & { onPart: ((part: MessageView) => void) | undefined }
/** Ids of requests that a decision about a key ended. `error` is the reason for own requests that were dropped. */
type KeyChange = { closed: string[]; unanswered: string[]; dropped: string[]; error: Error }
type RequestsContext = {
  context: ClientContext
  outbox: Outbox
  inbox: Inbox
  receipts: Receipts
  listenerLease: ListenerLease
}

/**
 * Sends requests and replies. Both are in the state before a frame is sent, so that a process that ends loses neither.
 * @internal
 */
export class Requests {
  readonly #parts: RequestsContext
  readonly #waiting = new Map<string, Waiter>()
  readonly #working = new Map<string, AbortController>()
  /** A failure is not reported: the callers have their timeouts, and the next change of the state tries again. */
  readonly #handOver = coalesce(() => this.#handOverStored().catch(() => {}))
  #stopWatching: (() => void) | undefined

  constructor(parts: RequestsContext) {
    this.#parts = parts
    const { closing } = parts.context
    const end = () => {
      for (const { reject } of this.#waiting.values()) reject(closing.reason)
    }
    closing.addEventListener('abort', end, { once: true })
  }

  /**
   * Sends a request and waits for its reply.
   * @throws {RequestTimeoutError} {RequestRefusedError} the signal's reason; the errors of `send`
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

  /**
   * Replies to a request. Only the first reply is sent.
   * @throws {NotOpenError} for a request that is answered, withdrawn or past its deadline
   * @throws {TooLargeError}
   */
  async reply({ from, id, hops }: Answered, content: Content): Promise<void> {
    await this.#settle(from, id, encodeMedia(content, { kind: 'reply', re: id, hops: hops + 1 }))
  }

  /** Refuses a request. @throws {NotOpenError} */
  async refuse({ from, id, hops }: Answered, { code, message }: { code: string; message: string }): Promise<void> {
    const error = { code, message: cutText(message, 1_000) }
    await this.#settle(from, id, encodeMedia('', { kind: 'reply', re: id, hops: hops + 1, error }))
  }

  /** Sends a part of the answer before the reply. @throws {NotOpenError} {TooLargeError} */
  async part({ from, id, hops }: Answered, content: Content): Promise<void> {
    const { context, outbox } = this.#parts
    const body = encodeMedia(content, { kind: 'part', re: id, hops: hops + 1 })
    await context.store.transaction(async tx => {
      if (!(await tx.get(keys.open(from, id)))) throw new NotOpenError(id)
      await queueReply(tx, context, from, body)
    })
    outbox.flush(from)
  }

  /** A handler has started on a request. The returned controller aborts when the peer withdraws the request. */
  working(id: string): AbortController {
    const controller = new AbortController()
    this.#working.set(id, controller)
    return controller
  }

  /** The handler of a request has ended, with or without a reply. */
  worked(id: string): void {
    this.#working.delete(id)
  }

  /** A peer has withdrawn its request. */
  withdrawn(from: Username, id: string): void {
    this.#parts.context.events.emit('withdrawn', { from, id })
    this.#working.get(id)?.abort(new RequestRefusedError('withdrawn', `${from} has withdrawn its request`))
  }

  /** Another key of a peer was pinned: ends what belongs to the other key, and hands over what had waited. */
  keyDecided(peer: Username, { closed, unanswered, dropped, error }: KeyChange): void {
    for (const id of closed) this.#working.get(id)?.abort(new WithheldError(peer))
    for (const id of unanswered) this.#waiting.get(id)?.reject(new WithheldError(peer))
    for (const id of dropped) this.#waiting.get(id)?.reject(error)
    this.answered()
  }

  /** A reply or a part was stored: hands it to the caller that waits for it. */
  answered(): void {
    void this.#handOver()
  }

  /** Moves late replies that no process waits for into the inbox. */
  async resume(): Promise<void> {
    const { context, inbox } = this.#parts
    const moved = await context.store.transaction(tx => releaseLateReplies(tx, context))
    for (let count = 0; count < moved; count += 1) inbox.stored()
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
    const { listenerLease } = this.#parts
    listenerLease.keepListening(done).catch(waiter.reject)
    const timer = setTimeout(() => waiter.reject(new RequestTimeoutError(to, timeoutMs, id)), timeoutMs)
    try {
      const answer = await (signal ? raceAbort(waiter.promise, signal) : waiter.promise)
      if (answer.error) throw new RequestRefusedError(answer.error.code, answer.error.message, { peer: to })
      return answer
    } catch (error) {
      if (signal?.aborted && error === signal.reason) await this.#cancel(to, id)
      if (error instanceof ProtocolError || !isExpired(error)) throw error
      throw new RequestTimeoutError(to, timeoutMs, id)
    } finally {
      clearTimeout(timer)
    }
  }

  /** Records a request. If A waits for B's reply, B's request to A is refused: both would wait until their timeouts. */
  async #note(to: Username, id: string, timeoutMs: number): Promise<void> {
    const { context } = this.#parts
    const deadline = context.now() + timeoutMs
    await context.store.transaction(async tx => {
      if (await waitsOnUs(tx, context, to)) throw new RequestRefusedError(wouldDeadlock.code, wouldDeadlock.message)
      tx.put(keys.asked(to, id), AskedRecord.encode({ deadline, state: 'open' }))
    })
  }

  /** Closes a request: a later reply is a late reply. */
  async #forget(to: Username, id: string): Promise<void> {
    const { context, inbox } = this.#parts
    if (context.closing.aborted) return
    const late = await context.store.transaction(tx => closeAsked(tx, context, to, id))
    for (let count = 0; count < late; count += 1) inbox.stored()
  }

  async #cancel(to: Username, id: string): Promise<void> {
    const { context, outbox } = this.#parts
    await context.store.transaction(tx => queueReply(tx, context, to, encodeMedia('', { kind: 'cancel', re: id })))
    outbox.flush(to)
  }

  /** Enqueues the reply and closes the request in one transaction. */
  async #settle(from: Username, id: string, body: Uint8Array): Promise<void> {
    const { context, outbox, inbox, receipts } = this.#parts
    const { inboxKey } = await context.store.transaction(async tx => {
      const closed = await closeRequest(tx, from, id, context.now())
      if (!closed || closed.deadline <= context.now()) throw new NotOpenError(id)
      await queueReply(tx, context, from, body)
      noteReceipt(tx, from, id, 'read')
      return closed
    })
    if (inboxKey !== undefined) inbox.removed(inboxKey)
    receipts.schedule(from)
    outbox.flush(from)
  }

  #wait(id: string, waiter: Waiter): void {
    this.#waiting.set(id, waiter)
    this.#stopWatching ??= this.#parts.context.store.onChange(() => this.answered())
  }

  #unwatch(): void {
    this.#stopWatching?.()
    this.#stopWatching = undefined
  }

  /** Hands stored replies and parts to the callers that wait in this process. */
  async #handOverStored(): Promise<void> {
    const { context } = this.#parts
    const entries = await context.store.read(tx => tx.list(keys.answers()))
    const own = entries.filter(([key]) => this.#waiting.has(requestIdIn(key)))
    if (own.length === 0) return
    const answers = await context.store.transaction(async tx => {
      const shown: { id: string; isPart: boolean; message: MessageView }[] = []
      for (const [key] of own) {
        const bytes = await tx.get(key)
        const record = bytes && InboxRecord.decode(bytes)
        const standing = record && (await readStanding(tx, context, record))
        // A reply under a changed key waits in the state for the user's decision.
        if (!record || !standing || !isShown(standing)) continue
        tx.delete(key)
        shown.push({ id: requestIdIn(key), isPart: isPart(record), message: toMessage(record, standing) })
      }
      return shown
    })
    for (const { id, isPart, message } of answers) {
      const waiter = this.#waiting.get(id)
      if (isPart) waiter?.onPart?.(message)
      else waiter?.resolve(message)
    }
  }
}

/** The request id in a key of the form `answer/NAME/ID/ORDER`. */
const requestIdIn = (key: string): string => key.split('/')[2] ?? ''

const isExpired = (error: unknown): boolean => error instanceof Error && error.name === 'ExpiredError'

function timeoutOf({ timeoutMs = defaultTimeoutMs, inReplyTo }: RequestOptions, nowMs: number): number {
  const left = inReplyTo?.deadline === undefined ? timeoutMs : inReplyTo.deadline - nowMs
  if (left < 1) throw new RequestRefusedError('too_late', 'the request that caused this one has passed its deadline')
  return Math.min(timeoutMs, left)
}
