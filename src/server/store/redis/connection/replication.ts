import type { Redis } from 'ioredis'
import { StoreUnavailableError } from '../../store.ts'
import { onEnd, primariesOf, type RedisClient } from './redis-client.ts'
import { settled } from './store-error.ts'

/** How long a replica may take, ms. Two of them fit into the time that a command has. */
const replicaWaitMs = 1_000

/** Runs what has to be kept before anybody is told, on the connection that it gives. @throws {StoreUnavailableError} */
export type WithDurability = <Result>(work: (redis: RedisClient) => Promise<Result>) => Promise<Result>

/** `DURABILITY=standard`: what the primary has is kept. */
export const onPrimaryOnly =
  (redis: RedisClient): WithDurability =>
  work =>
    work(redis)

/**
 * `DURABILITY=strict`: what a replica has as well is kept. A connection of its own, since `WAIT` stops the one it is sent on, and only the one that wrote
 * may ask. One wait at a time serves all that finished before it.
 */
export class Replication {
  readonly #redis: RedisClient
  #last: Promise<void> = Promise.resolve()
  #next: Promise<void> | null = null
  /** How often a connection ended: a new one may lead to a primary that never had the write. */
  #ends = 0

  constructor(redis: RedisClient) {
    this.#redis = redis
    onEnd(redis, () => {
      this.#ends += 1
    })
  }

  withDurability: WithDurability = async work => {
    const ends = this.#ends
    const primaries = primariesOf(this.#redis)
    const result = await work(this.#redis)
    await this.#replicated()
    if (this.#ends !== ends || !isSame(primaries, primariesOf(this.#redis)))
      throw new StoreUnavailableError('the connection to Redis ended before a replica was asked')
    return result
  }

  #replicated(): Promise<void> {
    this.#next ??= this.#last.then(() => {
      this.#next = null
      const waiting = this.#wait()
      this.#last = waiting.catch(() => {})
      return waiting
    })
    return this.#next
  }

  /** Also after a script that wrote nothing: Redis waits for all that the primary wrote until then, a first attempt by another node among it. */
  async #wait(): Promise<void> {
    const waits = primariesOf(this.#redis).map(primary => primary.wait(1, replicaWaitMs))
    if (waits.length === 0) throw new StoreUnavailableError('Redis has no primary')
    const replicas = Math.min(...(await settled(Promise.all(waits))))
    if (!(replicas >= 1)) throw new StoreUnavailableError('no replica of Redis has it')
  }
}

const isSame = (before: readonly Redis[], after: readonly Redis[]): boolean =>
  before.length === after.length && before.every(primary => after.includes(primary))
