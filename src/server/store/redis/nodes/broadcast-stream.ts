import { limits } from '../../../../protocol/limits.ts'
import { broadcastKey } from '../connection/keys.ts'
import type { RedisClient } from '../connection/redis-client.ts'
import { scripts } from '../connection/script.ts'
import { settled } from '../connection/store-error.ts'

/** How long entries stay in the stream, ms: a node that was away for less still gets them. */
const keptMs = 86_400_000
/** Most entries of the stream: a few MB, whatever users do. */
const maxEntries = 50_000
/** Entries of one read. */
const readEntries = 1_000
/** After a longer time without a read, entries may have left the stream unread, ms. */
const awayMs = 10_000

/** `token`: a token was revoked. `writers`: a user changed who may write to it. `drain`: a node should drain. */
export type Broadcast = 'token' | 'writers' | 'drain'
type OnBroadcast = (what: Broadcast, which: string) => void
type OnGap = () => void

/** Events that must reach every node even if a publish is lost: a stream that each node polls. */
export class BroadcastStream {
  readonly #redis: RedisClient
  readonly #onBroadcast: OnBroadcast
  readonly #onGap: OnGap
  #timer: NodeJS.Timeout | undefined
  #isClosed = false
  /** The id of the last entry read. */
  #read = '0-0'
  #readAt = performance.now()

  /** Neither function throws. `onGap` is called if entries may have left the stream before this node read them. */
  constructor(redis: RedisClient, onBroadcast: OnBroadcast, onGap: OnGap = () => {}) {
    this.#redis = redis
    this.#onGap = onGap
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
    await scripts.announce.run(redis, [broadcastKey], [what, which, keptMs, maxEntries])
  }

  #schedule(): void {
    if (this.#isClosed) return
    this.#timer = setTimeout(() => void this.#poll(), limits.revocationCheckMs)
    this.#timer.unref()
  }

  async #poll(): Promise<void> {
    try {
      let isBehind = performance.now() - this.#readAt > awayMs
      do {
        if (isBehind) await this.#checkGap()
        isBehind = (await this.#readNext()) === readEntries
        this.#readAt = performance.now()
      } while (isBehind && !this.#isClosed)
    } catch {
      // Redis is out of reach; the next poll gets the missed entries.
    } finally {
      this.#schedule()
    }
  }

  async #readNext(): Promise<number> {
    const streams = await this.#redis.xread('COUNT', readEntries, 'STREAMS', broadcastKey, this.#read)
    const entries = streams?.[0]?.[1] ?? []
    for (const [id, [what, which = '']] of entries) {
      this.#read = id
      if (isBroadcast(what)) this.#onBroadcast(what, which)
    }
    return entries.length
  }

  /** The entry that was read last has left the stream: later ones may have left it, too. */
  async #checkGap(): Promise<void> {
    const [oldest] = await this.#redis.xrange(broadcastKey, '-', '+', 'COUNT', 1)
    if (oldest && isLater(oldest[0], this.#read)) this.#onGap()
  }
}

/** Compares stream ids: `ms-number`. */
function isLater(one: string, other: string): boolean {
  const [ms = 0, number = 0] = one.split('-').map(Number)
  const [otherMs = 0, otherNumber = 0] = other.split('-').map(Number)
  return ms > otherMs || (ms === otherMs && number > otherNumber)
}

/** A node ignores kinds that only newer nodes know. */
const isBroadcast = (what: string | undefined): what is Broadcast =>
  what === 'token' || what === 'writers' || what === 'drain'
