import { limits } from '../../../../protocol/limits.ts'
import { broadcastKey } from '../connection/keys.ts'
import type { RedisClient } from '../connection/redis-client.ts'
import { scripts } from '../connection/script.ts'
import { settled } from '../connection/store-error.ts'

/** How long entries stay in the stream, ms: a node that was away for less still gets them. */
const keptMs = 86_400_000

/** `token`: a token was revoked. `writers`: a user changed who may write to it. `drain`: a node should drain. */
export type Broadcast = 'token' | 'writers' | 'drain'
type OnBroadcast = (what: Broadcast, which: string) => void

/** Events that must reach every node even if a publish is lost: a stream that each node polls. */
export class BroadcastStream {
  readonly #redis: RedisClient
  readonly #onBroadcast: OnBroadcast
  #timer: NodeJS.Timeout | undefined
  #isClosed = false
  /** The id of the last entry read. */
  #read = '0-0'

  /** `onBroadcast` never throws. */
  constructor(redis: RedisClient, onBroadcast: OnBroadcast) {
    this.#redis = redis
    this.#onBroadcast = onBroadcast
  }

  /** Starts to poll, from the current end of the stream. */
  async start(): Promise<void> {
    const [last] = await settled(this.#redis.xrevrange(broadcastKey, '+', '-', 'COUNT', 1))
    if (last) this.#read = last[0]
    this.#schedule()
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#timer)
  }

  /** Writes an event for every other node, on the given connection. */
  async broadcast(redis: RedisClient, what: Broadcast, which: string): Promise<void> {
    await scripts.announce.run(redis, [broadcastKey], [what, which, keptMs])
  }

  #schedule(): void {
    if (this.#isClosed) return
    this.#timer = setTimeout(() => void this.#poll(), limits.revocationCheckMs)
    this.#timer.unref()
  }

  async #poll(): Promise<void> {
    try {
      const streams = await this.#redis.xread('COUNT', 1_000, 'STREAMS', broadcastKey, this.#read)
      for (const [id, [what, which = '']] of streams?.[0]?.[1] ?? []) {
        this.#read = id
        if (isBroadcast(what)) this.#onBroadcast(what, which)
      }
    } catch {
      // Redis is out of reach; the next poll gets the missed entries.
    } finally {
      this.#schedule()
    }
  }
}

/** A node ignores kinds that only newer nodes know. */
const isBroadcast = (what: string | undefined): what is Broadcast =>
  what === 'token' || what === 'writers' || what === 'drain'
