import type { Random } from '../../crypto/provider.ts'
import { decodeServerFrame, encodeFrame, type RawFrame } from '../../protocol/codec.ts'
import { isErrorCode } from '../../protocol/errors.ts'
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
import { refusalOf } from '../base/server-words.ts'
import type { Dial, Socket, SocketEnd } from './socket.ts'

/** Limit for the answer to one request, ms. Later the link is closed, because the outcome is unknown. */
const requestTimeoutMs = 10_000
/** Interval of the check for missing answers and for silence, ms. */
const checkMs = 1_000

type Reply<T extends ClientFrameType> = (typeof clientFrames)[T]['reply'] extends infer R extends ServerFrame['type']
  ? ServerFrameOf<R>
  : never
type Pending = { reply: string; name: string | undefined; answer: Deferred<ServerFrame>; sentAt: number }
type Push = ServerFrameOf<'message'> | ServerFrameOf<'key_exchange'> | ServerFrameOf<'keys_low'>
/**
 * A frame that the node answers, as the caller writes it. Only a caller that may have to repeat the frame gives an
 * `id`.
 */
export type Request = {
  [T in ClientFrameType]: (typeof clientFrames)[T]['reply'] extends null
    ? never
    : Omit<ClientFrameOf<T>, 'id'> & { id?: string }
}[ClientFrameType]

export type LinkOptions = { dial: Dial; url: string; random: Random }

/**
 * One connection, from dialling to its end. Matches answers to requests by `id`, and passes pushes in order to one
 * handler. When the connection ends, pending requests fail with `UnreachableError`: their outcome is unknown.
 */
export class Link {
  /** Resolves when the connection has ended. */
  readonly closed: Promise<SocketEnd>
  /** Handles the frames that the node pushes. Set it before sending `listen`. */
  onPush: (push: Push) => void = () => {}

  readonly #random: Random
  readonly #socket: Socket
  readonly #pending = new Map<string, Pending>()
  readonly #ended = defer<SocketEnd>()
  readonly #check: ReturnType<typeof setInterval>
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
    this.#check = setInterval(() => this.#watch(), checkMs)
  }

  get isOpen(): boolean {
    return this.#end === undefined
  }

  /** Returns the challenge to sign next. The node sends a new one after each failed login. */
  async challenge(): Promise<ServerFrameOf<'challenge'>> {
    const challenge = await this.#challenge.promise
    this.#challenge = defer()
    this.#challenge.promise.catch(() => {})
    if (this.#end) this.#challenge.reject(this.#unreachable())
    return challenge
  }

  /**
   * Sends a frame and waits for its answer. Adds an id unless the frame has one.
   * @throws {ProtocolError} the node's refusal
   * @throws {UnreachableError} if the connection ended first: the outcome is unknown.
   */
  request<T extends Request['type']>(frame: Extract<Request, { type: T }>): Promise<Reply<T>> {
    if (this.#end) return Promise.reject(this.#unreachable())
    const answer = defer<ServerFrame>()
    const { reply } = clientFrames[frame.type]
    const id = frame.id ?? newId(this.#random)
    const text = encodeFrame({ ...frame, id })
    this.#pending.set(id, { reply, name: nameIn(frame), answer, sentAt: performance.now() })
    this.#socket.send(text)
    // #answer resolves only with a frame of type `reply`.
    return answer.promise as Promise<Reply<T>>
  }

  /** Tells the node that all envelopes up to `seq` are on disk. */
  ack(seq: number): void {
    if (!this.#end) this.#socket.send(encodeFrame({ type: 'ack', seq }))
  }

  /** Starts the closing handshake. */
  close(): void {
    if (!this.#end) this.#socket.close()
  }

  /** Ends the connection without a handshake. */
  terminate(): void {
    if (!this.#end) this.#socket.terminate()
  }

  #receive(raw: RawFrame): void {
    if (this.#end) return
    this.#heardAt = performance.now()
    try {
      this.#take(decodeServerFrame(raw))
    } catch (error) {
      this.#fail(error instanceof Error ? error.message : 'a frame is not readable')
    }
  }

  #take(frame: ServerFrame): void {
    switch (frame.type) {
      case 'challenge':
        this.#heartbeatMs = Math.max(checkMs, Math.min(frame.limits.heartbeatMs, limits.heartbeatMs))
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
    pending.answer.reject(new ServerFaultError(`the server answered ${frame.type} instead of ${pending.reply}`))
  }

  #refuse(frame: ServerFrameOf<'error'>): void {
    const code = isErrorCode(frame.code) ? frame.code : 'internal'
    const { message, retryAfter } = frame
    const pending = this.#settle(frame.id)
    pending?.answer.reject(refusalOf(code, message, { retryAfter, name: pending.name }))
  }

  #settle(id: string | undefined): Pending | undefined {
    if (id === undefined) return undefined
    const pending = this.#pending.get(id)
    this.#pending.delete(id)
    return pending
  }

  /**
   * Terminates a silent connection. The oldest request decides: a node answers in order. A connection that is busy with
   * other frames gets three times the limit. Without pending requests, sends a heartbeat after a silence.
   */
  #watch(): void {
    const now = performance.now()
    const [oldest] = this.#pending.values()
    if (oldest && now - oldest.sentAt > requestTimeoutMs && now - this.#heardAt > checkMs) return this.terminate()
    if (oldest && now - oldest.sentAt > 3 * requestTimeoutMs) return this.terminate()
    if (!oldest && now - this.#heardAt > this.#heartbeatMs) {
      this.request({ type: 'heartbeat', id: 'alive' }).catch(() => {})
    }
  }

  #fail(why: string): void {
    this.#fault = new ServerFaultError(`the server violated the protocol: ${why}`)
    this.terminate()
  }

  #unreachable(): Error {
    if (this.#fault) return this.#fault
    const { reason, code, said }: SocketEnd = this.#end ?? { reason: '', code: 1006 }
    return new UnreachableError(`the connection ended (${code}${reason ? `, ${reason}` : ''})`, { serverSaid: said })
  }

  #finish(end: SocketEnd): void {
    if (this.#end) return
    this.#end = end
    clearInterval(this.#check)
    const error = this.#unreachable()
    this.#challenge.reject(error)
    for (const { answer } of this.#pending.values()) answer.reject(error)
    this.#pending.clear()
    this.#ended.resolve(end)
  }
}

/** The user that a request is about, as this client names it. */
function nameIn(frame: Request): string | undefined {
  if ('to' in frame) return frame.to
  return 'username' in frame ? frame.username : undefined
}
