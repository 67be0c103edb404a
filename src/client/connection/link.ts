import type { Random } from '../../crypto/primitives.ts'
import { decodeServerFrame, encodeFrame, type RawFrame } from '../../protocol/codec.ts'
import { isErrorCode, ProtocolError } from '../../protocol/errors.ts'
import {
  type ClientFrameOf,
  type ClientFrameType,
  clientFrames,
  type ServerFrame,
  type ServerFrameOf,
} from '../../protocol/frames.ts'
import { limits } from '../../protocol/limits.ts'
import { type Deferred, defer } from '../../util/deferred.ts'
import { ServerFaultError, UnreachableError } from '../base/errors.ts'
import { newId } from '../base/new-id.ts'
import type { Dial, Socket, SocketEnd } from './socket.ts'

/** How long one request may go unanswered, ms; the link is given up then, for its outcome is unknown. */
const requestTimeoutMs = 10_000
const sweepMs = 1_000

type Reply<T extends ClientFrameType> = (typeof clientFrames)[T]['reply'] extends infer R extends ServerFrame['type']
  ? ServerFrameOf<R>
  : never
type Pending = { reply: string; answer: Deferred<ServerFrame>; sentAt: number }
type Push = ServerFrameOf<'message'> | ServerFrameOf<'key_exchange'> | ServerFrameOf<'keys_low'>
/** A frame that the node answers, as the caller writes it. Only a caller that may have to repeat the frame gives an `id`. */
export type Request = {
  [T in ClientFrameType]: (typeof clientFrames)[T]['reply'] extends null
    ? never
    : Omit<ClientFrameOf<T>, 'id'> & { id?: string }
}[ClientFrameType]

export type LinkOptions = { dial: Dial; url: string; random: Random }

/**
 * One connection for its whole life: requests are matched to answers by `id`, pushes go to one handler in their order.
 * Everything pending ends with the connection, as `UnreachableError`: whether it happened is not known.
 */
export class Link {
  /** Resolves when the connection is gone. */
  readonly closed: Promise<SocketEnd>
  /** Gets what the node pushes. Set it before `listen` is sent. */
  onPush: (push: Push) => void = () => {}

  readonly #random: Random
  readonly #socket: Socket
  readonly #pending = new Map<string, Pending>()
  readonly #ended = defer<SocketEnd>()
  readonly #sweep: ReturnType<typeof setInterval>
  #challenge = defer<ServerFrameOf<'challenge'>>()
  #end: SocketEnd | undefined
  #fault: ServerFaultError | undefined
  #heardAt = performance.now()
  #heartbeatMs: number = limits.heartbeatMs

  constructor({ dial, url, random }: LinkOptions) {
    this.#random = random
    this.closed = this.#ended.promise
    this.#challenge.promise.catch(() => {})
    this.#socket = dial(url, {
      opened: () => {},
      frame: raw => this.#receive(raw),
      closed: end => this.#finish(end),
    })
    this.#sweep = setInterval(() => this.#watch(), sweepMs)
  }

  get isOpen(): boolean {
    return this.#end === undefined
  }

  /** The nonce to sign next; a failed attempt is followed by another. */
  async challenge(): Promise<ServerFrameOf<'challenge'>> {
    const challenge = await this.#challenge.promise
    this.#challenge = defer()
    this.#challenge.promise.catch(() => {})
    if (this.#end) this.#challenge.reject(this.#unreachable())
    return challenge
  }

  /**
   * Sends a frame and waits for its answer.
   * @throws {ProtocolError} what the node refused it with.
   * @throws {UnreachableError} when the connection ended first: the outcome is unknown.
   */
  request<T extends Request['type']>(frame: Extract<Request, { type: T }>): Promise<Reply<T>> {
    if (this.#end) return Promise.reject(this.#unreachable())
    const answer = defer<ServerFrame>()
    const { reply } = clientFrames[frame.type]
    const id = frame.id ?? newId(this.#random)
    this.#pending.set(id, { reply, answer, sentAt: performance.now() })
    this.#socket.send(encodeFrame({ ...frame, id }))
    // #answer lets only the frame through that `reply` names.
    return answer.promise as Promise<Reply<T>>
  }

  /** Everything up to `seq` is on disk. */
  ack(seq: number): void {
    if (!this.#end) this.#socket.send(encodeFrame({ type: 'ack', seq }))
  }

  /** Ends the connection, politely. */
  close(): void {
    if (!this.#end) this.#socket.close()
  }

  /** Ends the connection at once. */
  terminate(): void {
    if (!this.#end) this.#socket.terminate()
  }

  #receive(raw: RawFrame): void {
    if (this.#end) return
    this.#heardAt = performance.now()
    try {
      this.#take(decodeServerFrame(raw))
    } catch (error) {
      this.#fail(error instanceof Error ? error.message : 'a frame that cannot be read')
    }
  }

  #take(frame: ServerFrame): void {
    switch (frame.type) {
      case 'challenge':
        this.#heartbeatMs = Math.max(sweepMs, Math.min(frame.limits.heartbeatMs, limits.heartbeatMs))
        return this.#challenge.resolve(frame)
      case 'message':
      case 'key_exchange':
      case 'keys_low':
        return this.onPush(frame)
      case 'error':
        return this.#refuse(frame)
      default:
        return this.#answer(frame)
    }
  }

  #answer(frame: ServerFrame & { id?: string }): void {
    const pending = this.#settle(frame.id)
    if (!pending) return
    if (pending.reply === frame.type) return pending.answer.resolve(frame)
    pending.answer.reject(new ServerFaultError(`the server answered ${frame.type} where ${pending.reply} belongs`))
  }

  #refuse(frame: ServerFrameOf<'error'>): void {
    const code = isErrorCode(frame.code) ? frame.code : 'internal'
    const options = frame.retryAfter === undefined ? {} : { retryAfter: frame.retryAfter }
    this.#settle(frame.id)?.answer.reject(new ProtocolError(code, frame.message, options))
  }

  #settle(id: string | undefined): Pending | undefined {
    if (id === undefined) return undefined
    const pending = this.#pending.get(id)
    this.#pending.delete(id)
    return pending
  }

  /** Gives a silent connection up: with the oldest request, for answers come in order or not at all. */
  #watch(): void {
    const now = performance.now()
    const [oldest] = this.#pending.values()
    if (oldest && now - oldest.sentAt > requestTimeoutMs && now - this.#heardAt > sweepMs) return this.terminate()
    if (oldest && now - oldest.sentAt > 3 * requestTimeoutMs) return this.terminate()
    if (!oldest && now - this.#heardAt > this.#heartbeatMs) {
      this.request({ type: 'heartbeat', id: 'alive' }).catch(() => {})
    }
  }

  #fail(why: string): void {
    this.#fault = new ServerFaultError(`the server broke the protocol: ${why}`)
    this.terminate()
  }

  #unreachable(): Error {
    if (this.#fault) return this.#fault
    const { reason, code } = this.#end ?? { reason: '', code: 1006 }
    return new UnreachableError(`the connection ended (${code}${reason ? `, ${reason}` : ''})`)
  }

  #finish(end: SocketEnd): void {
    if (this.#end) return
    this.#end = end
    clearInterval(this.#sweep)
    const error = this.#unreachable()
    this.#challenge.reject(error)
    for (const { answer } of this.#pending.values()) answer.reject(error)
    this.#pending.clear()
    this.#ended.resolve(end)
  }
}
