import { limits } from '../../protocol/limits.ts'

/** What a frame has become: something to start in its turn. */
export type Turn = {
  /** Waits for no answer before it, and nothing pipelined waits for its own. */
  pipelined: boolean
  /** Resolves when the next may start; never rejects. */
  start(): void | Promise<void>
}

export type FrameQueueOptions<Raw> = {
  /** Called in order, when the turn comes. Never throws. */
  decode(raw: Raw): Turn
  /** Stops and goes on reading from the socket. */
  pause(): void
  resume(): void
}

/** The frames of one socket, one after the other within bounds: what waits is at most what one read brought above `maxQueuedFrames`. */
export class FrameQueue<Raw> {
  readonly #options: FrameQueueOptions<Raw>
  #waiting: Raw[] = []
  #next: Turn | undefined
  #running = 0
  #alone = false
  #paused = false
  #over = false

  constructor(options: FrameQueueOptions<Raw>) {
    this.#options = options
  }

  push(raw: Raw): void {
    if (this.#over) return
    this.#waiting.push(raw)
    this.#startAll()
  }

  /** Starts nothing more. */
  end(): void {
    this.#over = true
    this.#waiting = []
    this.#next = undefined
  }

  #startAll(): void {
    while (!this.#over && !this.#alone && this.#running < limits.maxQueuedFrames) {
      const turn = this.#takeNext()
      if (!turn) break
      this.#start(turn)
    }
    this.#controlReading()
  }

  /** The next turn, unless it waits for those before it. */
  #takeNext(): Turn | undefined {
    const turn = this.#next ?? this.#decodeNext()
    const mayStart = turn && (turn.pipelined || this.#running === 0)
    this.#next = mayStart ? undefined : turn
    return mayStart ? turn : undefined
  }

  #decodeNext(): Turn | undefined {
    const raw = this.#waiting.shift()
    return raw === undefined ? undefined : this.#options.decode(raw)
  }

  #start(turn: Turn): void {
    const done = turn.start()
    if (!done) return
    this.#running += 1
    this.#alone = !turn.pipelined
    void done.then(() => {
      this.#running -= 1
      if (!turn.pipelined) this.#alone = false
      this.#startAll()
    })
  }

  #controlReading(): void {
    const load = this.#waiting.length + this.#running
    if (!this.#paused && load >= limits.maxQueuedFrames) {
      this.#paused = true
      this.#options.pause()
    } else if (this.#paused && load <= limits.maxQueuedFrames / 2) {
      this.#paused = false
      this.#options.resume()
    }
  }
}
