import { defer } from './deferred.ts'

/** Something that happens again and again; a waiter sees every `notify` since it looked last, so none falls between. */
export class Signal {
  #version = 0
  #wake = defer<void>()

  notify(): void {
    this.#version += 1
    this.#wake.resolve()
    this.#wake = defer<void>()
  }

  /** What to hand to `after`, read before looking at whatever the signal speaks of. */
  get version(): number {
    return this.#version
  }

  /** Resolves once there was a `notify` after `version` was read; rejects with the reason of `abort`. */
  after(version: number, abort?: AbortSignal): Promise<void> {
    if (version !== this.#version) return Promise.resolve()
    return abort ? raceAbort(this.#wake.promise, abort) : this.#wake.promise
  }
}

/** The promise, or the signal's reason if that comes first. Leaves no listener behind. */
export function raceAbort<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) {
    promise.catch(() => {})
    return Promise.reject(signal.reason)
  }
  const { promise: aborted, reject } = defer<never>()
  const onAbort = () => reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  return Promise.race([promise, aborted]).finally(() => signal.removeEventListener('abort', onAbort))
}

/** Waits `ms`; rejects with the signal's reason when aborted. The timer never outlives the wait. */
export async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  const elapsed = defer<void>()
  const timer = setTimeout(elapsed.resolve, ms)
  try {
    await raceAbort(elapsed.promise, signal)
  } finally {
    clearTimeout(timer)
  }
}
