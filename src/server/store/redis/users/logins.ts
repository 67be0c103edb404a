import { limits } from '../../../../protocol/limits.ts'
import { parseUsername, type Username } from '../../../../protocol/names.ts'
import type { TokenHash } from '../../ids.ts'
import type { Login, Logins, Notice } from '../../store.ts'
import { challengeKey, loginKey, loginsKey, metaKey, userKey } from '../connection/keys.ts'
import { asNumber, asStrings, orNull } from '../connection/reply.ts'
import { scripts } from '../connection/script.ts'
import { isFull, settled } from '../connection/store-error.ts'
import type { BroadcastStream } from '../nodes/broadcast-stream.ts'
import type { RedisContext } from '../nodes/context.ts'

/** Logins. A revocation is broadcast through a stream, so that a lost publish cannot keep a token valid. */
export class RedisLogins implements Logins {
  readonly #context: RedisContext
  readonly #broadcasts: BroadcastStream
  readonly #whenFull = new FewPerSecond(limits.writesWhenFullPerS)
  readonly #notifySelf: (notice: Notice) => void

  constructor(context: RedisContext, broadcasts: BroadcastStream, notifySelf: (notice: Notice) => void) {
    this.#context = context
    this.#broadcasts = broadcasts
    this.#notifySelf = notifySelf
  }

  /**
   * Writes the login before its index entry, so that either a deletion finds the login, or this call finds the user
   * deleted.
   */
  async create(tokenHash: TokenHash, username: Username, ttlMs: number, address = ''): Promise<{ expiresAt: number }> {
    const { redis, stored } = this.#context
    const expiresAt = await this.#put(loginKey(tokenHash), username, ttlMs)
    const keys = [metaKey(username), loginsKey(username), userKey(username)]
    const most = stored.use().level === 'full' ? limits.maxSessionsWhenFull : limits.maxSessionsPerUser
    const indexed = await scripts.indexLogin.run(redis, keys, [tokenHash, expiresAt, most, stored.hash(address)])
    const over = orNull(indexed, asStrings)
    if (over === null) await settled(redis.del(loginKey(tokenHash)))
    for (const oldest of over ?? []) await this.end(oldest, username)
    return { expiresAt }
  }

  async find(tokenHash: TokenHash): Promise<{ username: Username; expiresAt: number } | null> {
    const { redis } = this.#context
    const key = loginKey(tokenHash)
    const [username, expiresAt] = await settled(Promise.all([redis.get(key), redis.pexpiretime(key)]))
    return username === null || expiresAt < 0 ? null : { username: parseUsername(username), expiresAt }
  }

  /**
   * Writes a key that expires. A full Redis takes a few of them a second, because only a user that logs in can read its
   * mail and so make room.
   */
  async #put(key: string, value: string, ttlMs: number): Promise<number> {
    const { redis } = this.#context
    try {
      return asNumber(await scripts.put.run(redis, [key], [value, ttlMs]))
    } catch (error) {
      if (!isFull(error) || !this.#whenFull.take()) throw error
      return asNumber(await scripts.putWhenFull.run(redis, [key], [value, ttlMs]))
    }
  }

  /** The index is sorted by creation time, µs. It may contain expired logins. */
  async list(username: Username): Promise<Login[]> {
    const { redis } = this.#context
    const flat = await settled(redis.zrange(loginsKey(username), '0', '-1', 'WITHSCORES'))
    const made = flat.flatMap((tokenHash, at) =>
      at % 2 === 0 ? [{ tokenHash, createdAt: Math.floor(Number(flat[at + 1]) / 1_000) }] : [],
    )
    const ends = await settled(Promise.all(made.map(({ tokenHash }) => redis.pexpiretime(loginKey(tokenHash)))))
    return made.map((login, at) => ({ ...login, expiresAt: ends[at] ?? -1 })).filter(({ expiresAt }) => expiresAt >= 0)
  }

  async revoke(tokenHash: TokenHash): Promise<void> {
    const username = await settled(this.#context.redis.get(loginKey(tokenHash)))
    if (username !== null) await this.end(tokenHash, parseUsername(username))
  }

  /** Broadcasts the revocation before it takes effect: a retry after a partial failure broadcasts it again. */
  async end(tokenHash: TokenHash, username: Username): Promise<void> {
    await this.#context.withDurability(async redis => {
      await this.#broadcasts.broadcast(redis, 'token', tokenHash)
      await settled(redis.del(loginKey(tokenHash)))
      await settled(redis.zrem(loginsKey(username), tokenHash))
    })
    this.#notifySelf({ kind: 'revoked', tokenHash })
  }

  async putChallenge(nonce: string, username: Username, ttlMs: number): Promise<void> {
    await this.#put(challengeKey(nonce), username, ttlMs)
  }

  async takeChallenge(nonce: string, username: Username): Promise<boolean> {
    return (await settled(this.#context.redis.getdel(challengeKey(nonce)))) === username
  }
}

/** Allows a number of uses in each second. */
class FewPerSecond {
  readonly #most: number
  #second = 0
  #used = 0

  constructor(most: number) {
    this.#most = most
  }

  /** Returns false if there were too many in this second. */
  take(): boolean {
    const second = Math.floor(performance.now() / 1_000)
    if (second !== this.#second) this.#used = 0
    this.#second = second
    this.#used += 1
    return this.#used <= this.#most
  }
}
