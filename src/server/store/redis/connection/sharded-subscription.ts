import type { Cluster, Redis } from 'ioredis'
import { StoreUnavailableError } from '../../store.ts'
import type { Subscription } from './subscription.ts'

/** Interval of heartbeats to the own channel, ms. A cut connection, or a channel whose slot moved, is only silent. */
const beatMs = 2_000
/** Most servers that one search for the channel asks. */
const maxHops = 5

type Address = { host: string; port: number }
/** Creates an unconnected client for one server of the Cluster. The client does not reconnect. */
type Open = (address: Address) => Redis

/** A subscription on the server of a Cluster that serves the channel's slot. It follows the slot when it moves. */
export class ShardedSubscription implements Subscription {
  readonly #cluster: Cluster
  readonly #open: Open
  #redis: Redis | undefined
  #timer: NodeJS.Timeout | undefined
  #isClosed = false
  #isHeard = true

  constructor(cluster: Cluster, open: Open) {
    this.#cluster = cluster
    this.#open = open
  }

  async start(channel: string, heard: (text: string) => void, resumed: () => void): Promise<void> {
    const listen = (text: string) => {
      this.#isHeard = true
      heard(text)
    }
    await this.#subscribe(channel, listen)
    this.#watch(channel, listen, resumed)
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#timer)
    this.#redis?.disconnect()
  }

  /** A server that does not serve the channel redirects to the one that does. */
  async #subscribe(channel: string, listen: (text: string) => void): Promise<void> {
    let address: Address | null = addressOf(this.#cluster.nodes('master')[0])
    for (let hop = 0; address !== null && hop < maxHops; hop += 1) address = await this.#try(address, channel, listen)
    if (address !== null || !this.#redis) throw new StoreUnavailableError('no server of the Cluster serves the channel')
  }

  async #try(address: Address, channel: string, listen: (text: string) => void): Promise<Address | null> {
    const redis = this.#open(address)
    redis.on('error', () => {})
    redis.on('smessage', (_channel: string, text: string) => listen(text))
    try {
      await redis.connect()
      await redis.ssubscribe(channel)
      this.#redis = redis
      if (this.#isClosed) redis.disconnect()
      return null
    } catch (error) {
      redis.disconnect()
      const moved = movedTo(error)
      if (moved) return moved
      throw new StoreUnavailableError('Redis is out of reach')
    }
  }

  #watch(channel: string, listen: (text: string) => void, resumed: () => void): void {
    if (this.#isClosed) return
    this.#timer = setTimeout(() => {
      this.#beat(channel, listen, resumed)
        .catch(() => {})
        .finally(() => this.#watch(channel, listen, resumed))
    }, beatMs)
    this.#timer.unref()
  }

  async #beat(channel: string, listen: (text: string) => void, resumed: () => void): Promise<void> {
    if (!this.#isHeard) {
      this.#redis?.disconnect()
      this.#redis = undefined
      await this.#subscribe(channel, listen)
      resumed()
    }
    this.#isHeard = false
    await this.#cluster.spublish(channel, '[]')
  }
}

const addressOf = (node: Redis | undefined): Address | null => {
  const { host, port } = node?.options ?? {}
  return host && port ? { host, port } : null
}

/** `MOVED slot host:port` */
function movedTo(error: unknown): Address | null {
  const parts = error instanceof Error ? /^MOVED \d+ (?<host>.+):(?<port>\d+)$/.exec(error.message)?.groups : undefined
  return parts?.host && parts.port ? { host: parts.host, port: Number(parts.port) } : null
}
