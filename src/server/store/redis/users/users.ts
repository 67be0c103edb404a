import { limits } from '../../../../protocol/limits.ts'
import { parseUsername, type Username } from '../../../../protocol/names.ts'
import type {
  InviteRule,
  ListedUsers,
  Registered,
  RegisteredAfter,
  User,
  UserQuery,
  UserStatus,
  Users,
} from '../../store.ts'
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
  knownKey,
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
import { isCluster, type RedisClient } from '../connection/redis-client.ts'
import { asArray, asNumber, asString, asStrings, orNull } from '../connection/reply.ts'
import { scripts } from '../connection/script.ts'
import { settled } from '../connection/store-error.ts'
import type { RedisContext } from '../nodes/context.ts'
import { inviteEntry } from './administration.ts'
import { type RedisCards, split } from './cards.ts'
import type { RedisLogins } from './logins.ts'

type Registration = Exclude<Registered, 'forbidden'> | 'free'
type Rule = { invite: InviteRule; after: RegisteredAfter; origin: string }
type Found = User & { online: boolean; blocked: boolean }

/** When a sweep completes a deletion that is still in progress, ms: by then the call has completed or failed. */
const leavingMs = 60_000
/** Names that one read of an index returns. */
const lookahead = 100
/** Fields that `findUsers` returns of each user. */
const fieldsEach = 7

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
    address = '',
  ): Promise<Registered> {
    const { stored } = this.#context
    const origin = stored.hash(address)
    const known = await settled(this.#context.redis.hget(userKey(username), 'identity'))
    if (known === null) await stored.checkRegistration(address)
    return this.#context.withDurability(async redis => {
      const outcome = await this.#claimName(redis, username, identity, { invite, after, origin })
      if (outcome === 'free') return 'forbidden'
      if (outcome === 'created') await stored.changeOwn(username, limits.userBytes)
      // Also for a known user, because the first registration may have failed before this step.
      if (outcome === 'created' || outcome === 'same') await scripts.mark.run(redis, [usersKey], ['index', username])
      return outcome
    })
  }

  async #claimName(
    redis: RedisClient,
    username: Username,
    identity: string,
    { invite, after, origin }: Rule,
  ): Promise<Registration> {
    const run = async (mayTake: '0' | '1'): Promise<Registration> => {
      const keys = [userKey(username), metaKey(username)]
      const outcome = await scripts.register.run(redis, keys, [identity, mayTake, after, origin])
      if (isRegistration(outcome)) return outcome
      throw new TypeError('the script register returned an unknown outcome')
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

  async noteSeen(username: Username): Promise<void> {
    await scripts.noteSeen.run(this.#context.redis, [metaKey(username), userKey(username)], [])
  }

  async find(username: Username): Promise<Found | null> {
    const [found] = await this.#find([username])
    return found ?? null
  }

  /** Returns the users among these names, in the same order. In a Cluster, a call serves one of them. */
  async #find(usernames: readonly Username[]): Promise<Found[]> {
    const { redis } = this.#context
    const parts = isCluster(redis) ? usernames.map(name => [name]) : [usernames]
    const rows = await Promise.all(parts.map(names => this.#rows(names)))
    return rows.flat().filter(row => row !== null)
  }

  async #rows(usernames: readonly Username[]): Promise<(Found | null)[]> {
    if (usernames.length === 0) return []
    const keys = usernames.flatMap(name => [userKey(name), metaKey(name)])
    const fields = asStrings(await scripts.findUsers.run(this.#context.redis, keys, []))
    return usernames.map((name, at) => this.#toFound(name, fields.slice(at * fieldsEach, (at + 1) * fieldsEach)))
  }

  #toFound(username: Username, fields: readonly string[]): Found | null {
    const [identity, registeredAt, lastSeenAt, deleted, owner, node, closed] = fields
    if (!identity || deleted) return null
    const online = !!owner && !!node && isSocketOwner(owner) && this.#context.leases.isLive(node)
    const times = { registeredAt: Number(registeredAt), lastSeenAt: Number(lastSeenAt) }
    return { username, identity, ...times, online, blocked: !!closed }
  }

  async list(query: UserQuery): Promise<ListedUsers> {
    const { online, prefix = '', capability, cards = false, limit, cursor = '' } = query
    const index = await this.#indexFor(query)
    const users: UserStatus[] = []
    let [last, looked, isOver] = [cursor, 0, false]
    while (!isOver && looked < limits.maxLookups) {
      const asked = Math.min(lookahead, limits.maxLookups - looked)
      const names = await this.#names(index, { prefix, last, count: asked })
      const known = await this.#find(names)
      if (capability !== undefined && index === capabilityKey(capability))
        await this.#removeUnknown(names, known, capability)
      const found = known.filter(user => online === undefined || user.online === online)
      const named = await this.#withCapability(found, capability, index)
      for (const { username, online: isOnline, lastSeenAt } of named) {
        if (users.length === limit) return this.#page(users, { cards, cursor: users.at(-1)?.username, looked })
        users.push({ username, online: isOnline, lastSeenAt })
      }
      looked += names.length
      isOver = names.length < asked
      last = names.at(-1) ?? last
    }
    return this.#page(users, { cards, cursor: isOver ? undefined : last, looked })
  }

  async #page(
    users: UserStatus[],
    { cards, cursor, looked }: { cards: boolean; cursor: string | undefined; looked: number },
  ): Promise<ListedUsers> {
    return { users: cards ? await this.#withCards(users) : users, cursor: cursor ?? null, looked }
  }

  /** Returns the index with the fewest names for a query. */
  async #indexFor({ capability, online }: UserQuery): Promise<string> {
    if (capability === undefined) return online === true ? onlineKey : usersKey
    const named = capabilityKey(capability)
    if (online !== true) return named
    const { redis } = this.#context
    const [isListening, isNamed] = await settled(Promise.all([redis.zcard(onlineKey), redis.zcard(named)]))
    return isListening < isNamed ? onlineKey : named
  }

  /** Removes names from the index of a capability that belong to no user. */
  async #removeUnknown(names: readonly Username[], known: readonly Found[], capability: string): Promise<void> {
    if (names.length === known.length) return
    const users = new Set(known.map(({ username }) => username))
    for (const name of names) if (!users.has(name)) await this.#cards.leave(name, [capability])
  }

  /** Returns the users whose card lists the capability, and removes the others from its index. */
  async #withCapability(users: readonly Found[], capability: string | undefined, index: string): Promise<Found[]> {
    if (capability === undefined) return [...users]
    const { redis } = this.#context
    const tags = await settled(Promise.all(users.map(({ username }) => redis.hget(cardKey(username), 'capabilities'))))
    const isNamed = (_user: Found, at: number) => split(tags[at]).includes(capability)
    if (index === capabilityKey(capability)) {
      for (const [at, user] of users.entries())
        if (!isNamed(user, at)) await this.#cards.leave(user.username, [capability])
    }
    return users.filter(isNamed)
  }

  async #withCards(users: readonly UserStatus[]): Promise<UserStatus[]> {
    const { redis } = this.#context
    const cards = await settled(Promise.all(users.map(({ username }) => redis.hget(cardKey(username), 'card'))))
    return users.map((user, at) => ({ ...user, ...(cards[at] && { card: cards[at] }) }))
  }

  /** Returns the next names of an index after `last`. */
  async #names(
    index: string,
    { prefix, last, count }: { prefix: string; last: string; count: number },
  ): Promise<Username[]> {
    const from = last !== '' && last >= prefix ? `(${last}` : `[${prefix}`
    const to = prefix === '' ? '+' : `(${prefix}\x7f`
    const names = await settled(this.#context.redis.zrange(index, from, to, 'BYLEX', 'LIMIT', 0, count))
    return names.map(parseUsername)
  }

  /** Deletes the user's data in one atomic step. If a later step fails, the next sweep repeats it. */
  async delete(username: Username): Promise<void> {
    const { redis, withDurability, notify, stored } = this.#context
    await scripts.markDue.run(redis, [dueKey], [username, '', leavingMs])
    const owned = [rulesKey, knownKey, inboxKey, shareKey, keysKey, oneTimeKeysKey, oneTimeKemKeysKey, cardKey].map(
      key => key(username),
    )
    const ofLogins = [loginsKey(username), endedKey(username)]
    const keys = [userKey(username), metaKey(username), ...ofLogins, ...owned, ...seenKeys(username)]
    const capabilities = await this.#cards.capabilitiesOf(username)
    const reply = orNull(await withDurability(kept => scripts.deleteUser.run(kept, keys, [])), asArray)
    if (!reply) return
    const [owner, node, rules, known, removed] = reply
    stored.removed(asStrings(removed))
    await stored.changeOwn(username, -limits.userBytes - (asNumber(rules) + asNumber(known)) * limits.peerBytes)
    await this.#cards.leave(username, capabilities)
    if (owner !== '') notify(asString(node), [{ kind: 'deleted', username }])
    await this.finishDeletion(username)
  }

  /** Revokes the tokens of a deleted user and removes it from the listings. May be repeated after a partial failure. */
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

  /** Removes the user from the listings, and adds it again if its key has registered the name again meanwhile. */
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
