import { limits } from '../../protocol/limits.ts'

/** A decoded frame, ready to start once the frames before it allow it. */
export type FrameTask = {
  /** A pipelined task does not wait for the answers to the pipelined tasks before it. */
  pipelined: boolean
  /** A returned promise resolves when the task is done. Neither throws nor rejects. */
  start(): void | Promise<void>
}

type FrameQueueOptions<Raw> = {
  /** Called in the order of the frames, when a frame's task may start next. Never throws. */
  decode(raw: Raw): FrameTask
  /** Stops reading from the socket until `resume`. */
  pause(): void
  resume(): void
}

/**
 * Runs the frames of one socket in order. Reading pauses when `maxQueuedFrames` wait or run, so the queue exceeds this
 * bound by the frames of one read at most.
 */
export class FrameQueue<Raw> {
  readonly #options: FrameQueueOptions<Raw>
  #waiting: Raw[] = []
  #next: FrameTask | undefined
  #running = 0
  /** A task that is not pipelined runs: nothing starts beside it. */
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

  /** Drops the waiting frames; nothing starts after this call. */
  end(): void {
    this.#over = true
    this.#waiting = []
    this.#next = undefined
  }

  #startAll(): void {
    while (!this.#over && !this.#alone && this.#running < limits.maxQueuedFrames) {
      const task = this.#takeNext()
      if (!task) break
      this.#start(task)
    }
    this.#controlReading()
  }

  /** Takes the next task, unless it must wait for the tasks before it. */
  #takeNext(): FrameTask | undefined {
    const task = this.#next ?? this.#decodeNext()
    const mayStart = task && (task.pipelined || this.#running === 0)
    this.#next = mayStart ? undefined : task
    return mayStart ? task : undefined
  }

  #decodeNext(): FrameTask | undefined {
    const raw = this.#waiting.shift()
    return raw === undefined ? undefined : this.#options.decode(raw)
  }

  #start(task: FrameTask): void {
    const done = task.start()
    if (!done) return
    this.#running += 1
    this.#alone = !task.pipelined
    void done.then(() => {
      this.#running -= 1
      if (!task.pipelined) this.#alone = false
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
