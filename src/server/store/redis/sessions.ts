import { limits } from '../../../protocol/limits.ts'
import { parseUsername, type Username } from '../../../protocol/names.ts'
import type { Notice, Sessions, TokenHash } from '../store.ts'
import type { RedisContext } from './context.ts'
import { challengeKey, metaKey, revokedKey, sessionKey, sessionsKey } from './keys.ts'
import { asNumber, asStrings, orNull } from './reply.ts'
import { scripts } from './script.ts'
import { settled } from './store-error.ts'

/** How long a node may be away and still learn which tokens ended, ms. */
const revokedKeptMs = 86_400_000

/** Auth sessions. That one ended is a stream which every node reads, so that no lost publish keeps a token alive. */
export class RedisSessions implements Sessions {
  readonly #context: RedisContext
  readonly #hear: (notice: Notice) => void
  #timer: NodeJS.Timeout | undefined
  #isClosed = false
  /** The last entry of the stream that was read. */
  #read = '0-0'

  constructor(context: RedisContext, hear: (notice: Notice) => void) {
    this.#context = context
    this.#hear = hear
  }

  /** Reads the stream from its end on. */
  async start(): Promise<void> {
    const [last] = await settled(this.#context.redis.xrevrange(revokedKey, '+', '-', 'COUNT', 1))
    if (last) this.#read = last[0]
    this.#schedule()
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#timer)
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

  async revokeSession(tokenHash: TokenHash): Promise<void> {
    const username = await settled(this.#context.redis.get(sessionKey(tokenHash)))
    if (username !== null) await this.#end(tokenHash, parseUsername(username))
  }

  /** Told before it is done: a repetition after half of it tells again. */
  async #end(tokenHash: TokenHash, username: Username): Promise<void> {
    const { redis } = this.#context
    await scripts.revoke.run(redis, [revokedKey], [tokenHash, revokedKeptMs])
    await settled(redis.del(sessionKey(tokenHash)))
    await settled(redis.zrem(sessionsKey(username), tokenHash))
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

  #schedule(): void {
    if (this.#isClosed) return
    this.#timer = setTimeout(() => void this.#readRevoked(), limits.revocationCheckMs)
    this.#timer.unref()
  }

  async #readRevoked(): Promise<void> {
    try {
      const streams = await this.#context.redis.xread('COUNT', 1_000, 'STREAMS', revokedKey, this.#read)
      for (const [id, fields] of streams?.[0]?.[1] ?? []) {
        this.#read = id
        this.#hear({ kind: 'revoked', tokenHash: fields[1] ?? '' })
      }
    } catch {
      // Redis is away; the next look brings what was missed.
    } finally {
      this.#schedule()
    }
  }
}
