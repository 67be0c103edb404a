import { parseUsername, type Username } from '../../../protocol/names.ts'
import type { InviteRule, User, UserQuery, UserStatus } from '../store.ts'
import type { RedisContext } from './context.ts'
import {
  inboxKey,
  inviteKey,
  keysKey,
  metaKey,
  oneTimeKemKeysKey,
  oneTimeKeysKey,
  onlineKey,
  seenKeys,
  sessionsKey,
  shareKey,
  userKey,
  usersKey,
} from './keys.ts'
import { connectionOf, isSocketOwner } from './owner.ts'
import { asNumber, asString, asStrings, orNull } from './reply.ts'
import { scripts } from './script.ts'
import { settled } from './store-error.ts'

type Registration = 'created' | 'same' | 'taken' | 'free'
type Found = User & { online: boolean }

/** Names of an index that one look at it brings. */
const lookahead = 100

export class RedisUsers {
  readonly #context: RedisContext

  constructor(context: RedisContext) {
    this.#context = context
  }

  async register(
    username: Username,
    identity: string,
    invite: InviteRule,
  ): Promise<'created' | 'same' | 'taken' | 'forbidden'> {
    const outcome = await this.#claimName(username, identity, invite)
    if (outcome === 'free') return 'forbidden'
    // Repeated for one that is known, since the first time may have stopped before it.
    if (outcome !== 'taken') await scripts.mark.run(this.#context.redis, [usersKey], ['index', username])
    return outcome
  }

  async #claimName(username: Username, identity: string, invite: InviteRule): Promise<Registration> {
    if (invite.kind === 'open') return this.#run(username, identity, '1')
    const known = await this.#run(username, identity, '0')
    if (known !== 'free' || invite.kind === 'closed' || invite.inviteHash === undefined) return known
    const { redis } = this.#context
    const key = inviteKey(invite.inviteHash)
    if (asNumber(await scripts.useInvite.run(redis, [key], [`${username} ${identity}`])) === 0) return 'free'
    const outcome = await this.#run(username, identity, '1')
    if (outcome === 'taken') await settled(redis.set(key, '', 'KEEPTTL', 'XX'))
    return outcome
  }

  async #run(username: Username, identity: string, mayTake: '0' | '1'): Promise<Registration> {
    const keys = [userKey(username), metaKey(username)]
    const outcome = await scripts.register.run(this.#context.redis, keys, [identity, mayTake])
    if (outcome === 'created' || outcome === 'same' || outcome === 'taken' || outcome === 'free') return outcome
    throw new TypeError('an unknown outcome of register')
  }

  async addInvite(inviteHash: string, ttlMs: number): Promise<void> {
    await scripts.put.run(this.#context.redis, [inviteKey(inviteHash)], ['', ttlMs])
  }

  async findUser(username: Username): Promise<Found | null> {
    const [found] = await this.#find([username])
    return found ?? null
  }

  /** Those of these names that are users, in the same order. */
  async #find(usernames: readonly Username[]): Promise<Found[]> {
    const rows = await settled(Promise.all(usernames.map(name => this.#row(name))))
    return rows.filter(row => row !== null)
  }

  /** Not awaited in between, so that the commands for many names leave together. */
  async #row(username: Username): Promise<Found | null> {
    const { redis, leases } = this.#context
    const [[identity, registeredAt, lastSeenAt, deleted], [owner, node]] = await Promise.all([
      redis.hmget(userKey(username), 'identity', 'registeredAt', 'lastSeenAt', 'deleted'),
      redis.hmget(metaKey(username), 'owner', 'node'),
    ])
    if (!identity || deleted) return null
    const online = !!owner && !!node && isSocketOwner(owner) && leases.isLive(node)
    return { username, identity, registeredAt: Number(registeredAt), lastSeenAt: Number(lastSeenAt), online }
  }

  async listUsers({
    online,
    prefix = '',
    limit,
    cursor = '',
  }: UserQuery): Promise<{ users: UserStatus[]; cursor: string | null }> {
    const users: UserStatus[] = []
    let last = cursor
    for (;;) {
      const names = await this.#names(online === true ? onlineKey : usersKey, prefix, last)
      for (const user of await this.#find(names)) {
        if (online !== undefined && user.online !== online) continue
        if (users.length === limit) return { users, cursor: users.at(-1)?.username ?? null }
        users.push({ username: user.username, online: user.online, lastSeenAt: user.lastSeenAt })
      }
      if (names.length < lookahead) return { users, cursor: null }
      last = names.at(-1) ?? last
    }
  }

  /** The next names of an index after `last`. */
  async #names(index: string, prefix: string, last: string): Promise<Username[]> {
    const from = last !== '' && last >= prefix ? `(${last}` : `[${prefix}`
    const to = prefix === '' ? '+' : `(${prefix}\x7f`
    const names = await settled(this.#context.redis.zrange(index, from, to, 'BYLEX', 'LIMIT', 0, lookahead))
    return names.map(parseUsername)
  }

  /** One step for what the user owns; the indexes and tokens after it are found again by a repetition of nothing but themselves. */
  async deleteUser(username: Username, revoke: (tokenHash: string) => Promise<void>): Promise<void> {
    const { redis, tell } = this.#context
    const owned = [inboxKey, shareKey, keysKey, oneTimeKeysKey, oneTimeKemKeysKey].map(key => key(username))
    const keys = [userKey(username), metaKey(username), sessionsKey(username), ...owned, ...seenKeys(username)]
    const reply = orNull(await scripts.deleteUser.run(redis, keys, []), asStrings)
    if (!reply) return
    const [owner = '', node = '', epoch, ...tokens] = reply
    if (owner !== '') {
      tell(node, [
        { kind: 'replaced', username, connection: connectionOf(owner), epoch: asNumber(epoch) + 1, instance: '' },
      ])
    }
    for (const token of tokens) await revoke(token)
    await this.#unlist(username)
  }

  /** Out of the listings; and in again, if its key took it back meanwhile. */
  async #unlist(username: Username): Promise<void> {
    const { redis } = this.#context
    await settled(Promise.all([redis.zrem(usersKey, username), redis.zrem(onlineKey, username)]))
    const live = await settled(redis.hget(metaKey(username), 'live'))
    if (live !== null && asString(live) === '1') await scripts.mark.run(redis, [usersKey], ['index', username])
  }
}
