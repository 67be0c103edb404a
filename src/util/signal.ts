import { defer } from './deferred.ts'
import { startTimer } from './timer.ts'

/** A repeated event. A waiter that read `version` before its check misses no `notify` made during the check. */
export class Signal {
  #version = 0
  #wake = defer<void>()

  notify(): void {
    this.#version += 1
    this.#wake.resolve()
    this.#wake = defer<void>()
  }

  /** The argument for `after`; read it before checking the state that the signal is about. */
  get version(): number {
    return this.#version
  }

  /** Resolves after the first `notify` since `version` was read; rejects with the reason of `abort`. */
  after(version: number, abort?: AbortSignal): Promise<void> {
    if (version !== this.#version) return Promise.resolve()
    return abort ? raceAbort(this.#wake.promise, abort) : this.#wake.promise
  }

  /**
   * Calls `attempt` now and after each `notify`, until it returns a value other than undefined, and returns that value.
   * A `notify` during an attempt leads to another attempt. Rejects with the error of `attempt`, or, between two
   * attempts, with the reason of `abort`.
   */
  async until<T>(attempt: () => Promise<T | undefined> | T | undefined, abort?: AbortSignal): Promise<T> {
    for (;;) {
      const version = this.#version
      const value = await attempt()
      if (value !== undefined) return value
      await this.after(version, abort)
    }
  }
}

const watches = new WeakMap<AbortSignal, AbortWatch>()

/**
 * Calls `run` once when the signal aborts, and never if it has already aborted. Returns a function that cancels this.
 * All callers share one event listener: Node warns of a leak above ten.
 */
export function onAbort(signal: AbortSignal, run: () => void): () => void {
  const watch = watches.get(signal) ?? new AbortWatch(signal)
  watch.runs.add(run)
  return () => watch.cancel(run)
}

/** The shared listener. It is removed with its last waiter: Node keeps an `AbortSignal.any` alive while it has one. */
class AbortWatch {
  readonly runs = new Set<() => void>()
  readonly #signal: AbortSignal
  readonly #listener = () => {
    this.#end()
    for (const run of this.runs) run()
  }

  constructor(signal: AbortSignal) {
    this.#signal = signal
    watches.set(signal, this)
    signal.addEventListener('abort', this.#listener)
  }

  cancel(run: () => void): void {
    if (this.runs.delete(run) && this.runs.size === 0) this.#end()
  }

  #end(): void {
    watches.delete(this.#signal)
    this.#signal.removeEventListener('abort', this.#listener)
  }
}

/** Settles as `promise`, or rejects with the signal's reason if that comes first. Leaves no listener behind. */
export function raceAbort<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) {
    promise.catch(() => {})
    return Promise.reject(signal.reason)
  }
  const { promise: aborted, reject } = defer<never>()
  const cancel = onAbort(signal, () => reject(signal.reason))
  return Promise.race([promise, aborted]).finally(cancel)
}

/** Waits `ms`; rejects with the signal's reason when aborted. The timer never outlives the wait. */
export async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  const elapsed = defer<void>()
  const timer = startTimer(ms, elapsed.resolve)
  try {
    await raceAbort(elapsed.promise, signal)
  } finally {
    timer.cancel()
  }
}
