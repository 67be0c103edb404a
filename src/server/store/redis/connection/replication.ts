import type { Redis } from 'ioredis'
import { StoreUnavailableError } from '../../store.ts'
import { onEnd, primariesOf, type RedisClient } from './redis-client.ts'
import { settled } from './store-error.ts'

/** How long to wait for a replica, ms. Two waits fit into the timeout of a command. */
const replicaWaitMs = 1_000

/**
 * Runs `work` with a client, and resolves only when its writes are as durable as configured.
 * @throws {StoreUnavailableError}
 */
export type WithDurability = <Result>(work: (redis: RedisClient) => Promise<Result>) => Promise<Result>

/** `DURABILITY=standard`: a write is confirmed when the primary has it. */
export const onPrimaryOnly =
  (redis: RedisClient): WithDurability =>
  work =>
    work(redis)

/**
 * `DURABILITY=strict`: a write is confirmed when a replica has it, too. It needs a connection of its own, because
 * `WAIT` blocks its connection and must be sent on the connection that wrote. One `WAIT` at a time serves all writes
 * that finished before it.
 */
export class Replication {
  readonly #redis: RedisClient
  #last: Promise<void> = Promise.resolve()
  #next: Promise<void> | null = null
  /** Counts closed connections: a new one may lead to a primary that never had the write. */
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
      throw new StoreUnavailableError('the connection to Redis ended before a replica confirmed the write')
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

  /**
   * Also needed after a script that wrote nothing: `WAIT` covers everything that the primary has written so far,
   * including an earlier attempt of the same operation by another node.
   */
  async #wait(): Promise<void> {
    const waits = primariesOf(this.#redis).map(primary => primary.wait(1, replicaWaitMs))
    if (waits.length === 0) throw new StoreUnavailableError('Redis has no primary')
    const replicas = Math.min(...(await settled(Promise.all(waits))))
    if (!(replicas >= 1)) throw new StoreUnavailableError('no replica of Redis confirmed the write')
  }
}

const isSame = (before: readonly Redis[], after: readonly Redis[]): boolean =>
  before.length === after.length && before.every(primary => after.includes(primary))
