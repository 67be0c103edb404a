import type { Redis } from 'ioredis'

/** A subscription that was cut stays silent for ever: it is asked so often, and given up when it does not answer, ms. */
const pingMs = 3_000

/** What hears on one channel. */
export interface Subscription {
  /** Subscribes, now and after every reconnection, of which `resumed` tells. */
  start(channel: string, heard: (text: string) => void, resumed: () => void): Promise<void>
  close(): void
}

/** On one server. */
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
