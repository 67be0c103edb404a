import { decodeClientFrame, FrameError, type RawFrame } from '../../protocol/codec.ts'
import type { ClientFrame } from '../../protocol/frames.ts'
import { limits } from '../../protocol/limits.ts'
import { defer } from '../../util/deferred.ts'
import { rateLimited, toProtocolError } from '../base/to-protocol-error.ts'
import { costOf, isPipelined } from '../rate-limits/frame-rules.ts'
import type { Wait } from '../rate-limits/leased-bucket.ts'
import type { FrameContext } from './frame-context.ts'
import { blockStream, handleFrame, idOf } from './frame-handlers.ts'
import type { FrameTask } from './frame-queue.ts'
import { FrameRate } from './frame-rate.ts'

/** A received frame that its rate may delay. `frame` is missing if the frame could not be decoded. */
type Arrival = { frame?: ClientFrame; id: string | undefined; cost: number; bytes: number }

/** Decides when the frames of one connection take effect, by the rates that they count against. */
export class FrameScheduler {
  readonly #context: FrameContext
  readonly #rate: FrameRate
  #endHold: () => void = () => {}
  /** True while the user ignores refusals. */
  #isSlowed = false
  /** The next frame takes effect no earlier, on the clock `elapsed`. */
  #restsUntil = 0

  constructor(context: FrameContext) {
    this.#context = context
    this.#rate = new FrameRate(context.node)
  }

  /** Decodes a frame and counts it. Never throws. */
  toTask(raw: RawFrame): FrameTask {
    try {
      return this.#toFrameTask(decodeClientFrame(raw), raw.length)
    } catch (error) {
      return this.#toErrorTask(error, raw.length)
    }
  }

  /** Returns true if the peer may send one more WebSocket ping or pong. */
  takeControl(): boolean {
    return this.#rate.takeControl()
  }

  /**
   * Counts a refusal that names a time for the retry. The frames of a user that ignores such refusals wait: otherwise
   * refusals would take the node's time from others.
   */
  refused(): void {
    const { username, node } = this.#context
    if (username === undefined) return
    this.#isSlowed = this.#rate.takeRefusal(username, this.#isSlowed) > 0
    if (this.#isSlowed) this.#restsUntil = node.clock.elapsed() + 1_000 / limits.refusalsPerS
  }

  /** Ends the current wait. */
  end(): void {
    this.#endHold()
  }

  #toFrameTask(frame: ClientFrame, bytes: number): FrameTask {
    const arrival = { frame, id: idOf(frame), cost: costOf(frame.type), bytes }
    const run = () => handleFrame(this.#context, frame)
    const wait = this.#take(arrival)
    if (wait !== 0) {
      const runNext = () => this.#startUnlessOver(arrival, this.#takeMessage(frame), run)
      return { pipelined: false, start: () => this.#startLater(arrival, wait, runNext) }
    }
    const pairWait = this.#takeMessage(frame)
    if (pairWait !== 0) return { pipelined: false, start: () => this.#startUnlessOver(arrival, pairWait, run) }
    return { pipelined: isPipelined(frame.type), start: run }
  }

  /** Decoding a frame that gets an error in reply is work too, so it counts as well. */
  #toErrorTask(error: unknown, bytes: number): FrameTask {
    const id = error instanceof FrameError ? error.id : undefined
    const arrival = { id, cost: 1, bytes }
    const wait = this.#take(arrival)
    const run = () => this.#context.refuse(toProtocolError(error), id)
    return { pipelined: false, start: wait === 0 ? run : () => this.#startLater(arrival, wait, run) }
  }

  #take({ cost, bytes }: Arrival): Wait {
    const restMs = this.#restsUntil - this.#context.node.clock.elapsed()
    if (restMs > 0) return restMs
    return this.#rate.take(cost, bytes, this.#context.username)
  }

  #takeMessage(frame: ClientFrame): Wait {
    return this.#rate.takeMessage(frame, this.#context.username)
  }

  /**
   * Delays a user over its rate, which slows down reading. A refusal instead would be repeated for each frame that is
   * already on its way. Only a long wait, or one before the login, is a refusal.
   */
  async #startLater(arrival: Arrival, wait: Wait, run: () => void | Promise<void>): Promise<void> {
    try {
      for (let waitMs = await wait; waitMs > 0; waitMs = await this.#take(arrival)) {
        const isLoggedIn = this.#context.state !== 'challenged'
        if (!isLoggedIn || waitMs > limits.maxHoldMs) return this.#refuse(arrival, waitMs)
        await this.#hold(Math.max(waitMs, limits.minHoldMs))
      }
      if (!this.#context.isClosed) await run()
    } catch (error) {
      this.#failed(arrival, error)
    }
  }

  /** Refuses a message over the rate of its recipient, so that it does not delay messages for others. */
  async #startUnlessOver(arrival: Arrival, wait: Wait, run: () => void | Promise<void>): Promise<void> {
    try {
      const waitMs = await wait
      if (this.#context.isClosed) return
      await (waitMs > 0 ? this.#refuse(arrival, waitMs) : run())
    } catch (error) {
      this.#failed(arrival, error)
    }
  }

  /** Resolves after `ms`, or when the connection ends. */
  #hold(ms: number): Promise<void> {
    const { promise, resolve } = defer<void>()
    const timer = this.#context.node.clock.after(ms, resolve)
    this.#endHold = () => {
      timer.cancel()
      resolve()
    }
    return promise
  }

  /** Before the login, a refusal also closes the connection. */
  #refuse({ frame, id }: Arrival, waitMs: number): void {
    const context = this.#context
    if (context.isClosed) return
    if (frame) blockStream(context, frame)
    const refusal = rateLimited('too many frames', waitMs)
    context.refuse(refusal, id)
    if (context.username === undefined)
      void context.close('rateLimited', `too many frames: retry in ${refusal.retryAfter} s`)
  }

  #failed({ frame, id }: Arrival, error: unknown): void {
    const context = this.#context
    context.node.log.error({ err: error, connection: context.id, frame: frame?.type }, 'a rate failed')
    if (frame) blockStream(context, frame)
    context.refuse(toProtocolError(error), id)
  }
}
