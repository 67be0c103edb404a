import Redlock from 'redlock'
import { fenceKey } from '../connection/keys.ts'
import type { RedisClient } from '../connection/redis-client.ts'
import { asNumber } from '../connection/reply.ts'
import { scripts } from '../connection/script.ts'

/** How long a node holds a lock, ms, and the part of it that is reserved for the step in progress. */
const lockMs = 10_000
const lockReserveMs = 2_000

/** `expiration`: by this process's clock, ms since 1970. It may be in the past. */
export type Lock = { readonly expiration: number; release(): Promise<unknown> }
/** Rejects if another node holds the lock, or Redis is out of reach. */
export type Acquire = (resource: string, durationMs: number) => Promise<Lock>
/** One part of the work. Its writes compare the fencing number. */
export type Step = (fence: number) => Promise<'more' | 'done'>

export function redlockOf(redis: RedisClient): Acquire {
  const redlock = new Redlock([redis], { retryCount: 0 })
  // A held lock is not an error, and `acquire` rejects with every other failure.
  redlock.on('error', () => {})
  return (resource, durationMs) => redlock.acquire([resource], durationMs)
}

/**
 * Locks for slow, rare work that one node at a time should do. A lock may be granted twice, or late: it only avoids
 * duplicate work. The fencing number keeps every step correct.
 */
export class Locks {
  readonly #redis: RedisClient
  readonly #acquire: Acquire

  constructor(redis: RedisClient, acquire: Acquire = redlockOf(redis)) {
    this.#redis = redis
    this.#acquire = acquire
  }

  /**
   * Runs steps until one returns `done` or the lock ends. Runs none if another node holds the lock.
   * @throws {StoreUnavailableError}
   */
  async hold(resource: string, step: Step): Promise<void> {
    const lock = await this.#acquire(resource, lockMs).catch(() => null)
    if (!lock) return
    try {
      const fence = asNumber(await scripts.nextFence.run(this.#redis, [fenceKey], []))
      // The lock may be granted late, so its expiration is checked before each step.
      while (lock.expiration - Date.now() > lockReserveMs) if ((await step(fence)) === 'done') return
    } finally {
      await lock.release().catch(() => {})
    }
  }
}
