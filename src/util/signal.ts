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

const watchers = new WeakMap<AbortSignal, Set<() => void>>()

/** Runs once when the signal aborts. However many wait, the signal has one listener: Node takes more than ten for a leak. Returns what cancels. */
function onAbort(signal: AbortSignal, run: () => void): () => void {
  const waiting = watchers.get(signal) ?? watch(signal)
  waiting.add(run)
  return () => waiting.delete(run)
}

function watch(signal: AbortSignal): Set<() => void> {
  const waiting = new Set<() => void>()
  watchers.set(signal, waiting)
  signal.addEventListener('abort', () => {
    for (const run of waiting) run()
  })
  return waiting
}

/** The promise, or the signal's reason if that comes first. Leaves nothing behind that waits. */
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
  const timer = setTimeout(elapsed.resolve, ms)
  try {
    await raceAbort(elapsed.promise, signal)
  } finally {
    clearTimeout(timer)
  }
}
