import { closeCodes, type ErrorCode, ProtocolError, reconnectAfter } from '../../protocol/errors.ts'
import { asError } from '../../util/as-error.ts'
import { type Deferred, defer } from '../../util/deferred.ts'
import type { Emitter } from '../../util/emitter.ts'
import { raceAbort, sleep } from '../../util/signal.ts'
import { ClientError, ClosedError, ServerFaultError, UnreachableError } from '../base/errors.ts'
import type { ClientEvents } from '../base/events.ts'
import { retryAfterMs } from '../base/retry-after.ts'
import { refusalOf, serverWords } from '../base/server-words.ts'
import { StateError } from '../state/state-error.ts'
import { Link, type LinkOptions } from './link.ts'
import type { SocketEnd } from './socket.ts'

type Options = LinkOptions & {
  /** Logs in on a new link. */
  logIn: (link: Link) => Promise<void>
  /** Removes the token that the next login would use. @returns true if there was one: a login without it may succeed */
  dropToken: () => Promise<boolean>
  events: Emitter<ClientEvents>
}

/**
 * Back-off, ms: full jitter below a bound that doubles from the second failure on, so that a thousand clients of a dead
 * node do not reconnect at the same moment.
 */
const firstBackoffMs = 1_000
const maxBackoffMs = 5_000
/** Limit from dialling to the end of the login, ms. */
const loginTimeoutMs = 15_000
/** A connection that lasted longer than this resets the back-off, ms. */
const settledMs = 2_000

/** Errors after which another attempt cannot succeed. */
const finalCodes: readonly ErrorCode[] = [
  'unauthorized',
  'forbidden',
  'username_taken',
  'bad_frame',
  'invalid_username',
]

/** A full disk or a lock of another process passes, so a `StateError` is final only if it says so. */
const isFinal = (error: unknown): boolean => {
  if (error instanceof ProtocolError) return finalCodes.includes(error.code)
  return !((error instanceof ClientError || error instanceof StateError) && error.retry)
}

/**
 * Keeps one logged-in link over a series of connections. Dials when a caller first asks for the link, and reconnects
 * until it is closed. Does not reconnect if that cannot help, or if only the user may decide it (close code 4409).
 */
export class ReconnectingLink {
  readonly #options: Options
  readonly #closing = new AbortController()
  #current: Link | undefined
  #next: Deferred<Link> | undefined
  #running: Promise<void> | undefined
  /** Number of consecutive connections that ended early. */
  #flaps = 0
  /** The earliest time of the next attempt, whichever caller asks for it: on the clock of `performance.now`, ms. */
  #notBeforeMs = 0

  constructor(options: Options) {
    this.#options = options
  }

  /**
   * Returns the link, and waits until there is one.
   * @throws the error that made further attempts pointless, `ClosedError`, or the reason of `signal`.
   */
  link(signal?: AbortSignal): Promise<Link> {
    if (this.#closing.signal.aborted) return Promise.reject(new ClosedError())
    if (this.#current?.isOpen) return Promise.resolve(this.#current)
    const next = this.#expect()
    // A link that has just ended is still the current one until `#lost` has chosen the delay and started the loop.
    if (!this.#current) this.#start()
    return signal ? raceAbort(next.promise, signal) : next.promise
  }

  /**
   * Makes one attempt, for a caller that needs to know now if the server is reachable.
   * @throws {UnreachableError} and the errors of the login
   */
  connect(): Promise<Link> {
    if (this.#closing.signal.aborted) return Promise.reject(new ClosedError())
    if (this.#current?.isOpen) return Promise.resolve(this.#current)
    return this.#running || this.#current ? this.link() : this.#attempt(() => this.#logIn())
  }

  /** Like `connect`, with another way to log in: a registration. The link becomes the current one. */
  async connectWith(logIn: (link: Link) => Promise<void>): Promise<Link> {
    if (this.#closing.signal.aborted) throw new ClosedError()
    await this.#running
    return this.#attempt(() => this.#dial(logIn))
  }

  /** Makes one attempt. Its failure reaches only its caller: callers of `link` wait for the attempts that follow. */
  #attempt(dial: () => Promise<Link>): Promise<Link> {
    const attempt = sleep(this.#waitMs(), this.#closing.signal)
      .then(dial)
      .then(link => this.#adopt(link))
    this.#running = attempt.then(
      () => {},
      () => {},
    )
    void this.#running.then(() => {
      this.#running = undefined
      if (this.#next) this.#startAfter(this.#jitter(1))
    })
    return attempt
  }

  /** True while there is a logged-in link. */
  get isOnline(): boolean {
    return this.#current?.isOpen ?? false
  }

  /** Ends the current link, if there is one. The next caller gets a new one. */
  async drop(): Promise<void> {
    const link = this.#current
    link?.terminate()
    await link?.closed
  }

  /** Ends the link permanently. */
  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return
    this.#closing.abort(new ClosedError())
    this.#fail(new ClosedError())
    const link = this.#current
    link?.close()
    // A node that does not answer the closing handshake must not delay the caller.
    const timer = setTimeout(() => link?.terminate(), 1_000)
    await link?.closed
    clearTimeout(timer)
    await this.#running
  }

  #expect(): Deferred<Link> {
    if (!this.#next) {
      this.#next = defer()
      this.#next.promise.catch(() => {})
    }
    return this.#next
  }

  #fail(error: unknown): void {
    this.#next?.reject(error)
    this.#next = undefined
  }

  #startAfter(waitMs: number): void {
    this.#notBeforeMs = performance.now() + waitMs
    this.#start()
  }

  #waitMs(): number {
    return Math.max(0, this.#notBeforeMs - performance.now())
  }

  /** Starts the loop that dials, unless it is running. */
  #start(): void {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
    })
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing
    let pause = this.#waitMs()
    for (let attempt = 1; !signal.aborted; attempt += 1) {
      try {
        await sleep(pause, signal)
        this.#adopt(await this.#logIn())
        return
      } catch (error) {
        if (signal.aborted) return
        if (isFinal(error)) return this.#fail(error)
        pause = this.#pause(error, attempt)
        this.#options.events.emit('reconnecting', { attempt, waitMs: pause, error: asError(error) })
      }
    }
  }

  /** Returns the server's `retryAfter` plus up to 1 s, because many clients may have received the same value. */
  #pause(error: unknown, attempt: number): number {
    const named = retryAfterMs(error)
    return named === undefined ? this.#jitter(attempt) : named + this.#fraction() * 1_000
  }

  /** Returns a number in [0, 1). */
  #fraction(): number {
    const bytes = this.#options.random(4)
    return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0) / 2 ** 32
  }

  #jitter(attempt: number): number {
    return this.#fraction() * Math.min(maxBackoffMs, firstBackoffMs * 2 ** Math.max(0, attempt - 1))
  }

  /** If the token ends during the login, the server closes the connection: tries again with the key on a new one. */
  async #logIn(): Promise<Link> {
    const { logIn, dropToken } = this.#options
    try {
      return await this.#dial(logIn)
    } catch (error) {
      const isRefused = error instanceof ProtocolError && error.code === 'unauthorized'
      if (!isRefused || !(await dropToken())) throw error
      return this.#dial(logIn)
    }
  }

  async #dial(logIn: (link: Link) => Promise<void>): Promise<Link> {
    const link = new Link(this.#options)
    const refused = link.closed.then(end => {
      throw refusal(end)
    })
    refused.catch(() => {})
    const timer = setTimeout(() => link.terminate(), loginTimeoutMs)
    const abort = () => link.terminate()
    this.#closing.signal.addEventListener('abort', abort)
    try {
      await Promise.race([logIn(link), refused])
      return link
    } catch (error) {
      link.close()
      throw error
    } finally {
      clearTimeout(timer)
      this.#closing.signal.removeEventListener('abort', abort)
    }
  }

  #adopt(link: Link): Link {
    const { events } = this.#options
    const since = performance.now()
    this.#current?.close()
    this.#current = link
    this.#next?.resolve(link)
    this.#next = undefined
    events.emit('connected', {})
    void link.closed.then(end => this.#lost(link, end, performance.now() - since))
    return link
  }

  #lost(link: Link, end: SocketEnd, lastedMs: number): void {
    if (this.#current !== link) return
    this.#current = undefined
    this.#flaps = lastedMs > settledMs ? 0 : this.#flaps + 1
    const serverSaid = serverWords(end.said)
    this.#options.events.emit('disconnected', { code: end.code, reason: end.reason, ...(serverSaid && { serverSaid }) })
    if (this.#closing.signal.aborted) return
    const reconnect = reconnectAfter(end.code)
    const isAutomatic = reconnect !== 'no' && reconnect !== 'user'
    if (isAutomatic || this.#flaps > 0) this.#notBeforeMs = performance.now() + this.#jitter(this.#flaps)
    // After some close codes only a caller that needs the link makes it connect again.
    if (!isAutomatic && !this.#next) return
    void this.#expect()
    this.#start()
  }
}

/** Returns the error for a connection that ended before it was logged in. */
function refusal({ code, reason, said, status, retryAfter }: SocketEnd): Error {
  if (status !== undefined && status >= 400 && status < 500 && status !== 429) {
    return new ServerFaultError(`this is not an aimessage server: ${reason}`)
  }
  if (code === closeCodes.unauthorized.code) return refusalOf('unauthorized', said)
  if (code === closeCodes.notTheProtocol.code) {
    return new ServerFaultError('the server does not accept the protocol of this client', { serverSaid: said })
  }
  const text = `the server is unreachable${reason ? `: ${reason}` : ` (${code})`}`
  return new UnreachableError(text, { retryAfter, serverSaid: said })
}
