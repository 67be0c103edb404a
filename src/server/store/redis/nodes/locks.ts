import Redlock from 'redlock'
import { fenceKey } from '../connection/keys.ts'
import type { RedisClient } from '../connection/redis-client.ts'
import { asNumber } from '../connection/reply.ts'
import { scripts } from '../connection/script.ts'

/** How long one node holds a lock, ms, and what it keeps for the step under way. */
const lockMs = 10_000
const lockReserveMs = 2_000

/** `expiration`: by this process' clock, ms since 1970. It may have passed already. */
export type Lock = { readonly expiration: number; release(): Promise<unknown> }
/** Rejects where another node has it, or Redis is away. */
export type Acquire = (resource: string, durationMs: number) => Promise<Lock>
/** One part of the work, with the fencing number that its writes compare. */
export type Step = (fence: number) => Promise<'more' | 'done'>

export function redlockOf(redis: RedisClient): Acquire {
  const redlock = new Redlock([redis], { retryCount: 0 })
  // That somebody else has the lock is no error; what fails is thrown where it is waited for.
  redlock.on('error', () => {})
  return (resource, durationMs) => redlock.acquire([resource], durationMs)
}

/**
 * Slow, rare work that one node at a time does. A lock may be granted twice, or late: it only saves work, and the fencing number is
 * what makes every step right.
 */
export class Locks {
  readonly #redis: RedisClient
  readonly #acquire: Acquire

  constructor(redis: RedisClient, acquire: Acquire = redlockOf(redis)) {
    this.#redis = redis
    this.#acquire = acquire
  }

  /** Runs steps until one is done or the lock ends; none where another node has it. @throws {StoreUnavailableError} */
  async hold(resource: string, step: Step): Promise<void> {
    const lock = await this.#acquire(resource, lockMs).catch(() => null)
    if (!lock) return
    try {
      const fence = asNumber(await scripts.nextFence.run(this.#redis, [fenceKey], []))
      // It may be handed out late; its own clock says whether it still stands.
      while (lock.expiration - Date.now() > lockReserveMs) if ((await step(fence)) === 'done') return
    } finally {
      await lock.release().catch(() => {})
    }
  }
}
