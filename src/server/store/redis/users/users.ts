import { parseUsername, type Username } from '../../../../protocol/names.ts'
import type { InviteRule, Registered, RegisteredAfter, User, UserQuery, UserStatus, Users } from '../../store.ts'
import { isSocketOwner } from '../connection/claim-owner.ts'
import {
  capabilityKey,
  cardKey,
  dueKey,
  endedKey,
  inboxKey,
  inviteKey,
  invitesKey,
  keysKey,
  loginsKey,
  metaKey,
  oneTimeKemKeysKey,
  oneTimeKeysKey,
  onlineKey,
  rulesKey,
  seenKeys,
  shareKey,
  userKey,
  usersKey,
} from '../connection/keys.ts'
import type { RedisClient } from '../connection/redis-client.ts'
import { asNumber, asString, asStrings, orNull } from '../connection/reply.ts'
import { scripts } from '../connection/script.ts'
import { settled } from '../connection/store-error.ts'
import type { RedisContext } from '../nodes/context.ts'
import { inviteEntry } from './administration.ts'
import { type RedisCards, split } from './cards.ts'
import type { RedisLogins } from './logins.ts'

type Registration = Exclude<Registered, 'forbidden'> | 'free'
type Rule = { invite: InviteRule; after: RegisteredAfter }
type Found = User & { online: boolean; blocked: boolean }

/** Where to look: for a capability there are fewest names. */
const indexFor = (capability: string | undefined, online: boolean | undefined): string => {
  if (capability !== undefined) return capabilityKey(capability)
  return online === true ? onlineKey : usersKey
}

/** A sweep completes a deletion that is still under way after so long, ms: by then it is complete or will never be. */
const leavingMs = 60_000
/** Names of an index that one look at it brings. */
const lookahead = 100

export class RedisUsers implements Users {
  readonly #context: RedisContext
  readonly #cards: RedisCards
  readonly #logins: RedisLogins

  constructor(context: RedisContext, cards: RedisCards, logins: RedisLogins) {
    this.#context = context
    this.#cards = cards
    this.#logins = logins
  }

  async register(
    username: Username,
    identity: string,
    invite: InviteRule,
    after: RegisteredAfter = 'deletion',
  ): Promise<Registered> {
    return this.#context.withDurability(async redis => {
      const outcome = await this.#claimName(redis, username, identity, { invite, after })
      if (outcome === 'free') return 'forbidden'
      // Repeated for one that is known, since the first time may have stopped before it.
      if (outcome === 'created' || outcome === 'same') await scripts.mark.run(redis, [usersKey], ['index', username])
      return outcome
    })
  }

  async #claimName(
    redis: RedisClient,
    username: Username,
    identity: string,
    { invite, after }: Rule,
  ): Promise<Registration> {
    const run = async (mayTake: '0' | '1'): Promise<Registration> => {
      const keys = [userKey(username), metaKey(username)]
      const outcome = await scripts.register.run(redis, keys, [identity, mayTake, after])
      if (isRegistration(outcome)) return outcome
      throw new TypeError('an unknown outcome of register')
    }
    if (invite.kind === 'open') return run('1')
    const known = await run('0')
    if (known !== 'free' || invite.kind === 'closed' || invite.inviteHash === undefined) return known
    const key = inviteKey(invite.inviteHash)
    if (asNumber(await scripts.useInvite.run(redis, [key], [`${username} ${identity}`])) === 0) return 'free'
    const outcome = await run('1')
    if (outcome !== 'created' && outcome !== 'same') await settled(redis.set(key, '', 'KEEPTTL', 'XX'))
    return outcome
  }

  async addInvite(inviteHash: string, ttlMs: number): Promise<void> {
    const { redis } = this.#context
    const expiresAt = asNumber(await scripts.put.run(redis, [inviteKey(inviteHash)], ['', ttlMs]))
    await scripts.mark.run(redis, [invitesKey], ['index', inviteEntry(inviteHash, expiresAt)])
  }

  async find(username: Username): Promise<Found | null> {
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
    const [[identity, registeredAt, lastSeenAt, deleted], [owner, node, closed]] = await Promise.all([
      redis.hmget(userKey(username), 'identity', 'registeredAt', 'lastSeenAt', 'deleted'),
      redis.hmget(metaKey(username), 'owner', 'node', 'closed'),
    ])
    if (!identity || deleted) return null
    const online = !!owner && !!node && isSocketOwner(owner) && leases.isLive(node)
    const times = { registeredAt: Number(registeredAt), lastSeenAt: Number(lastSeenAt) }
    return { username, identity, ...times, online, blocked: !!closed }
  }

  async list({
    online,
    prefix = '',
    capability,
    cards = false,
    limit,
    cursor = '',
  }: UserQuery): Promise<{ users: UserStatus[]; cursor: string | null }> {
    const users: UserStatus[] = []
    const page = async (next: string | null) => ({ users: cards ? await this.#withCards(users) : users, cursor: next })
    let last = cursor
    for (;;) {
      const names = await this.#names(indexFor(capability, online), prefix, last)
      const found = await this.#find(names)
      const named = capability === undefined ? undefined : await this.#withCapability(names, capability)
      for (const { username, online: isOnline, lastSeenAt } of found) {
        if ((online !== undefined && isOnline !== online) || named?.has(username) === false) continue
        if (users.length === limit) return page(users.at(-1)?.username ?? null)
        users.push({ username, online: isOnline, lastSeenAt })
      }
      if (names.length < lookahead) return page(null)
      last = names.at(-1) ?? last
    }
  }

  /** Those of these names whose card names the capability; the others do not belong into its index. */
  async #withCapability(names: readonly Username[], capability: string): Promise<Set<Username>> {
    const { redis } = this.#context
    const tags = await settled(Promise.all(names.map(name => redis.hget(cardKey(name), 'capabilities'))))
    const named = names.filter((_name, at) => split(tags[at]).includes(capability))
    for (const name of names) if (!named.includes(name)) await this.#cards.leave(name, [capability])
    return new Set(named)
  }

  async #withCards(users: readonly UserStatus[]): Promise<UserStatus[]> {
    const { redis } = this.#context
    const cards = await settled(Promise.all(users.map(({ username }) => redis.hget(cardKey(username), 'card'))))
    return users.map((user, at) => ({ ...user, ...(cards[at] && { card: cards[at] }) }))
  }

  /** The next names of an index after `last`. */
  async #names(index: string, prefix: string, last: string): Promise<Username[]> {
    const from = last !== '' && last >= prefix ? `(${last}` : `[${prefix}`
    const to = prefix === '' ? '+' : `(${prefix}\x7f`
    const names = await settled(this.#context.redis.zrange(index, from, to, 'BYLEX', 'LIMIT', 0, lookahead))
    return names.map(parseUsername)
  }

  /** One step for what the user owns. What comes after it is found again and done by whoever looks at the user next. */
  async delete(username: Username): Promise<void> {
    const { redis, withDurability, notify } = this.#context
    await scripts.markDue.run(redis, [dueKey], [username, '', leavingMs])
    const owned = [inboxKey, shareKey, keysKey, oneTimeKeysKey, oneTimeKemKeysKey, rulesKey, cardKey].map(key =>
      key(username),
    )
    const ofLogins = [loginsKey(username), endedKey(username)]
    const keys = [userKey(username), metaKey(username), ...ofLogins, ...owned, ...seenKeys(username)]
    const capabilities = await this.#cards.capabilitiesOf(username)
    const reply = orNull(await withDurability(kept => scripts.deleteUser.run(kept, keys, [])), asStrings)
    if (!reply) return
    await this.#cards.leave(username, capabilities)
    const [owner = '', node = ''] = reply
    if (owner !== '') notify(node, [{ kind: 'deleted', username }])
    await this.finishDeletion(username)
  }

  /** Ends the tokens and leaves the listings, of a user that is deleted: also if it was half done before. */
  async finishDeletion(username: Username): Promise<void> {
    const { redis } = this.#context
    for (;;) {
      const tokens = await settled(redis.zrange(endedKey(username), '0', String(lookahead - 1)))
      if (tokens.length === 0) break
      for (const token of tokens) {
        await this.#logins.end(token, username)
        await settled(redis.zrem(endedKey(username), token))
      }
    }
    await this.#unlist(username)
    await settled(redis.hdel(metaKey(username), 'leaving'))
  }

  /** Out of the listings; and in again, if its key took it back meanwhile. */
  async #unlist(username: Username): Promise<void> {
    const { redis } = this.#context
    await settled(Promise.all([redis.zrem(usersKey, username), redis.zrem(onlineKey, username)]))
    const live = await settled(redis.hget(metaKey(username), 'live'))
    if (live !== null && asString(live) === '1') await scripts.mark.run(redis, [usersKey], ['index', username])
  }
}

const isRegistration = (outcome: unknown): outcome is Registration =>
  outcome === 'created' ||
  outcome === 'same' ||
  outcome === 'taken' ||
  outcome === 'blocked' ||
  outcome === 'deleted' ||
  outcome === 'free'
