import type { Redis } from 'ioredis'

/** Interval of PINGs, ms. A cut subscription stays silent: without an answer to the PING it is reconnected. */
const pingMs = 3_000

/** A subscription to one channel. */
export interface Subscription {
  /** Subscribes now and after every reconnection, and calls `resumed` after each of those. */
  start(channel: string, heard: (text: string) => void, resumed: () => void): Promise<void>
  close(): void
}

/** A subscription on a single server. */
export class ServerSubscription implements Subscription {
  readonly #redis: Redis
  #timer: NodeJS.Timeout | undefined
  #isClosed = false

  constructor(redis: Redis) {
    this.#redis = redis
  }

  async start(channel: string, heard: (text: string) => void, resumed: () => void): Promise<void> {
    const redis = this.#redis
    redis.on('message', (_channel: string, text: string) => heard(text))
    await redis.subscribe(channel)
    redis.on('ready', () => {
      redis.subscribe(channel).then(resumed, () => redis.disconnect(true))
    })
    this.#watch()
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#timer)
    this.#redis.disconnect()
  }

  #watch(): void {
    if (this.#isClosed) return
    this.#timer = setTimeout(() => void this.#ping(), pingMs)
    this.#timer.unref()
  }

  async #ping(): Promise<void> {
    const redis = this.#redis
    try {
      if (redis.status === 'ready') await redis.ping()
    } catch {
      if (!this.#isClosed) redis.disconnect(true)
    } finally {
      this.#watch()
    }
  }
}
