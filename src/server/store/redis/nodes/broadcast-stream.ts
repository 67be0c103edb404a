import { limits } from '../../../../protocol/limits.ts'
import { revokedKey } from '../connection/keys.ts'
import type { RedisClient } from '../connection/redis-client.ts'
import { scripts } from '../connection/script.ts'
import { settled } from '../connection/store-error.ts'

/** How long a node may be away and still learn what was announced, ms. */
const keptMs = 86_400_000

/** `token`: it has ended. `writers`: a user decided anew who may write to it. `drain`: a node is to give up. */
export type Broadcast = 'token' | 'writers' | 'drain'
type OnBroadcast = (what: Broadcast, which: string) => void

/** What every node has to learn, though a publish be lost: a stream that each reads twice a second. */
export class BroadcastStream {
  readonly #redis: RedisClient
  readonly #onBroadcast: OnBroadcast
  #timer: NodeJS.Timeout | undefined
  #isClosed = false
  /** The last entry that was read. */
  #read = '0-0'

  /** `onBroadcast` never throws. */
  constructor(redis: RedisClient, onBroadcast: OnBroadcast) {
    this.#redis = redis
    this.#onBroadcast = onBroadcast
  }

  /** Reads from the end of the stream on. */
  async start(): Promise<void> {
    const [last] = await settled(this.#redis.xrevrange(revokedKey, '+', '-', 'COUNT', 1))
    if (last) this.#read = last[0]
    this.#schedule()
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#timer)
  }

  /** Tells every other node; on the connection that is given. */
  async broadcast(redis: RedisClient, what: Broadcast, which: string): Promise<void> {
    await scripts.announce.run(redis, [revokedKey], [what, which, keptMs])
  }

  #schedule(): void {
    if (this.#isClosed) return
    this.#timer = setTimeout(() => void this.#look(), limits.revocationCheckMs)
    this.#timer.unref()
  }

  async #look(): Promise<void> {
    try {
      const streams = await this.#redis.xread('COUNT', 1_000, 'STREAMS', revokedKey, this.#read)
      for (const [id, [what, which = '']] of streams?.[0]?.[1] ?? []) {
        this.#read = id
        if (isBroadcast(what)) this.#onBroadcast(what, which)
      }
    } catch {
      // Redis is away; the next look brings what was missed.
    } finally {
      this.#schedule()
    }
  }
}

/** A kind that a newer node announces is passed over. */
const isBroadcast = (what: string | undefined): what is Broadcast =>
  what === 'token' || what === 'writers' || what === 'drain'
