import type { FrameError } from '../../protocol/codec.ts'
import type { ClientFrame } from '../../protocol/frames.ts'
import { limits } from '../../protocol/limits.ts'
import { defer } from '../../util/deferred.ts'
import { rateLimited, toProtocolError } from '../base/to-protocol-error.ts'
import { costOf, isPipelined } from '../rate-limits/frame-rules.ts'
import type { Wait } from '../rate-limits/leased-bucket.ts'
import type { Connection } from './connection.ts'
import { blockStream, dispatch, idOf } from './frame-handlers.ts'
import type { Turn } from './frame-queue.ts'
import { FrameRate } from './frame-rate.ts'

/** Something that came and waits for its rate. `frame` is left out where it could not be read. */
type Arrival = { frame?: ClientFrame; id: string | undefined; cost: number; bytes: number }

/** When the frames of one connection may take effect, by the rates they count against. */
export class FrameScheduler {
  readonly #connection: Connection
  readonly #meter: FrameRate
  #endHold: () => void = () => {}

  constructor(connection: Connection) {
    this.#connection = connection
    this.#meter = new FrameRate(connection.node)
  }

  /** The turn of a frame that was so many bytes. */
  toTurn(frame: ClientFrame, bytes: number): Turn {
    const arrival = { frame, id: idOf(frame), cost: costOf(frame.type), bytes }
    const wait = this.#take(arrival)
    if (wait !== 0) {
      const run = () =>
        this.#startUnlessOver(arrival, this.#takeMessage(frame), () => dispatch(this.#connection, frame))
      return { pipelined: false, start: () => this.#startLater(arrival, wait, run) }
    }
    const pairWait = this.#takeMessage(frame)
    const run = () => dispatch(this.#connection, frame)
    if (pairWait !== 0) return { pipelined: false, start: () => this.#startUnlessOver(arrival, pairWait, run) }
    return { pipelined: isPipelined(frame.type), start: run }
  }

  /** The same for what is answered with an error: reading it is work, too. */
  toErrorTurn(error: unknown, id: FrameError['id'], bytes: number): Turn {
    const arrival = { id, cost: 1, bytes }
    const wait = this.#take(arrival)
    const run = () => this.#connection.refuse(toProtocolError(error), id)
    return { pipelined: false, start: wait === 0 ? run : () => this.#startLater(arrival, wait, run) }
  }

  /** Whether one more WebSocket ping or pong is in order. */
  takeControl(): boolean {
    return this.#meter.takeControl()
  }

  /** Nothing is waited for any more. */
  end(): void {
    this.#endHold()
  }

  #take({ cost, bytes }: Arrival): Wait {
    return this.#meter.take(cost, bytes, this.#connection.username)
  }

  #takeMessage(frame: ClientFrame): Wait {
    return this.#meter.takeMessage(frame, this.#connection.username)
  }

  /** A user over its rate is read more slowly: what it has on the way would earn as many refusals. Only a long wait is one. */
  async #startLater(arrival: Arrival, wait: Wait, run: () => void | Promise<void>): Promise<void> {
    try {
      for (let waitMs = await wait; waitMs > 0; waitMs = await this.#take(arrival)) {
        const isStranger = this.#connection.state === 'challenged'
        if (isStranger || waitMs > limits.maxHoldMs) return this.#refuse(arrival, waitMs)
        await this.#hold(Math.max(waitMs, limits.minHoldMs))
      }
      if (!this.#connection.isClosed) await run()
    } catch (error) {
      this.#failed(arrival, error)
    }
  }

  /** What is too much for one recipient is refused: it holds up nothing for others. */
  async #startUnlessOver(arrival: Arrival, wait: Wait, run: () => void | Promise<void>): Promise<void> {
    try {
      const waitMs = await wait
      if (this.#connection.isClosed) return
      await (waitMs > 0 ? this.#refuse(arrival, waitMs) : run())
    } catch (error) {
      this.#failed(arrival, error)
    }
  }

  /** Ends early with the connection. */
  #hold(ms: number): Promise<void> {
    const { promise, resolve } = defer<void>()
    const timer = this.#connection.node.clock.after(ms, resolve)
    this.#endHold = () => {
      timer.cancel()
      resolve()
    }
    return promise
  }

  /** Who earns too many refusals does not listen to reason. */
  #refuse({ frame, id }: Arrival, waitMs: number): void {
    const connection = this.#connection
    if (connection.isClosed) return
    if (frame) blockStream(connection, frame)
    const refusal = rateLimited('too many frames', waitMs)
    connection.refuse(refusal, id)
    if (this.#meter.takeRefusal(connection.username)) return
    void connection.close('rateLimited', `come back in ${refusal.retryAfter} s`)
  }

  #failed({ frame, id }: Arrival, error: unknown): void {
    const connection = this.#connection
    connection.node.log.error({ err: error, connection: connection.id, frame: frame?.type }, 'a rate failed')
    if (frame) blockStream(connection, frame)
    connection.refuse(toProtocolError(error), id)
  }
}
