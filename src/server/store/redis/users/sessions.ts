import { limits } from '../../../../protocol/limits.ts'
import { parseUsername, type Username } from '../../../../protocol/names.ts'
import type { Notice, Sessions, StoredSession, TokenHash } from '../../store.ts'
import type { RedisContext } from '../connection/context.ts'
import { challengeKey, metaKey, sessionKey, sessionsKey } from '../connection/keys.ts'
import { asNumber, asStrings, orNull } from '../connection/reply.ts'
import { scripts } from '../connection/script.ts'
import { settled } from '../connection/store-error.ts'
import type { RedisAnnouncements } from '../nodes/broadcast-stream.ts'

/** Auth sessions. That one ended is announced, so that no lost publish keeps a token alive. */
export class RedisSessions implements Sessions {
  readonly #context: RedisContext
  readonly #announcements: RedisAnnouncements
  readonly #hear: (notice: Notice) => void

  constructor(context: RedisContext, announcements: RedisAnnouncements, hear: (notice: Notice) => void) {
    this.#context = context
    this.#announcements = announcements
    this.#hear = hear
  }

  /** The session is there before the index names it, so that whoever deletes the user finds it or we find the user gone. */
  async createSession(tokenHash: TokenHash, username: Username, ttlMs: number): Promise<{ expiresAt: number }> {
    const { redis } = this.#context
    const expiresAt = asNumber(await scripts.put.run(redis, [sessionKey(tokenHash)], [username, ttlMs]))
    const keys = [metaKey(username), sessionsKey(username)]
    const indexed = await scripts.indexSession.run(redis, keys, [tokenHash, expiresAt, limits.maxSessionsPerUser])
    const over = orNull(indexed, asStrings)
    if (over === null) await settled(redis.del(sessionKey(tokenHash)))
    for (const oldest of over ?? []) await this.#end(oldest, username)
    return { expiresAt }
  }

  async findSession(tokenHash: TokenHash): Promise<{ username: Username; expiresAt: number } | null> {
    const { redis } = this.#context
    const key = sessionKey(tokenHash)
    const [username, expiresAt] = await settled(Promise.all([redis.get(key), redis.pexpiretime(key)]))
    return username === null || expiresAt < 0 ? null : { username: parseUsername(username), expiresAt }
  }

  /** The index orders them by when they were made, µs; one that has expired may still stand there. */
  async listSessions(username: Username): Promise<StoredSession[]> {
    const { redis } = this.#context
    const flat = await settled(redis.zrange(sessionsKey(username), '0', '-1', 'WITHSCORES'))
    const made = flat.flatMap((tokenHash, at) =>
      at % 2 === 0 ? [{ tokenHash, createdAt: Math.floor(Number(flat[at + 1]) / 1_000) }] : [],
    )
    const ends = await settled(Promise.all(made.map(({ tokenHash }) => redis.pexpiretime(sessionKey(tokenHash)))))
    return made
      .map((session, at) => ({ ...session, expiresAt: ends[at] ?? -1 }))
      .filter(({ expiresAt }) => expiresAt >= 0)
  }

  async revokeSession(tokenHash: TokenHash): Promise<void> {
    const username = await settled(this.#context.redis.get(sessionKey(tokenHash)))
    if (username !== null) await this.#end(tokenHash, parseUsername(username))
  }

  /** Told before it is done: a repetition after half of it tells again. */
  async #end(tokenHash: TokenHash, username: Username): Promise<void> {
    await this.#context.keep(async redis => {
      await this.#announcements.announce(redis, 'token', tokenHash)
      await settled(redis.del(sessionKey(tokenHash)))
      await settled(redis.zrem(sessionsKey(username), tokenHash))
    })
    this.#hear({ kind: 'revoked', tokenHash })
  }

  /** For a user that is deleted: the index is gone already. */
  async endOf(tokenHash: TokenHash, username: Username): Promise<void> {
    await this.#end(tokenHash, username)
  }

  async putChallenge(nonce: string, username: Username, ttlMs: number): Promise<void> {
    await scripts.put.run(this.#context.redis, [challengeKey(nonce)], [username, ttlMs])
  }

  async takeChallenge(nonce: string, username: Username): Promise<boolean> {
    return (await settled(this.#context.redis.getdel(challengeKey(nonce)))) === username
  }
}
