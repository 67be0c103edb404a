import { limits } from '../../../protocol/limits.ts'
import type { Username } from '../../../protocol/names.ts'
import type {
  InviteRule,
  ListedUsers,
  Registered,
  RegisteredAfter,
  User,
  UserQuery,
  UserStatus,
  Users,
} from '../store.ts'
import type { MemoryBacking } from './backing.ts'
import type { MemoryLogins } from './logins.ts'

export class MemoryUsers implements Users {
  readonly #backing: MemoryBacking
  readonly #logins: MemoryLogins

  constructor(backing: MemoryBacking, logins: MemoryLogins) {
    this.#backing = backing
    this.#logins = logins
  }

  async register(
    username: Username,
    identity: string,
    invite: InviteRule,
    after: RegisteredAfter = 'deletion',
  ): Promise<Registered> {
    const known = this.#backing.users.get(username)
    if (known && known.identity !== identity) return 'taken'
    if (this.#backing.access(username).closed) return 'blocked'
    if (known && !known.deleted) return 'same'
    if (after === 'loss' && (known || this.#backing.released.has(username))) return 'deleted'
    if (!this.#admits(invite, `${username} ${identity}`)) return 'forbidden'
    const nowMs = this.#backing.now()
    const user = { username, identity, registeredAt: nowMs, lastSeenAt: nowMs, deleted: false, tokens: [] }
    this.#backing.users.set(username, user)
    this.#backing.namesChanged()
    return 'created'
  }

  /** The user of an invite may use it again: the answer to the first use may have been lost. */
  #admits(rule: InviteRule, user: string): boolean {
    if (rule.kind !== 'invite') return rule.kind === 'open'
    const invite = this.#backing.invites.get(rule.inviteHash ?? '')
    if (!invite || invite.expiresAt <= this.#backing.now()) return false
    invite.user ??= user
    return invite.user === user
  }

  async addInvite(inviteHash: string, ttlMs: number): Promise<void> {
    this.#backing.invites.set(inviteHash, { expiresAt: this.#backing.now() + ttlMs })
  }

  async noteSeen(username: Username): Promise<void> {
    const user = this.#backing.liveUser(username)
    if (user) user.lastSeenAt = this.#backing.now()
  }

  async find(username: Username): Promise<(User & { online: boolean; blocked: boolean }) | null> {
    const user = this.#backing.liveUser(username)
    if (!user) return null
    const { identity, registeredAt, lastSeenAt } = user
    const blocked = this.#backing.access(username).closed
    return { username, identity, registeredAt, lastSeenAt, online: this.#backing.isOnline(username), blocked }
  }

  async delete(username: Username): Promise<void> {
    const user = this.#backing.liveUser(username)
    if (!user) return
    user.deleted = true
    for (const { tokenHash } of [...user.tokens]) await this.#logins.revoke(tokenHash)
    const inbox = this.#backing.inbox(username)
    if (inbox.held) this.#backing.notify(inbox.held.node, { kind: 'deleted', username })
    inbox.clear()
    this.#backing.dropKeys(username)
    this.#backing.cards.delete(username)
    this.#backing.access(username).clear()
  }

  async list({ online, prefix = '', capability, cards = false, limit, cursor = '' }: UserQuery): Promise<ListedUsers> {
    const users: UserStatus[] = []
    let [last, looked] = [cursor, 0]
    const names = this.#backing.sortedNames()
    for (let at = firstAfter(names, cursor, prefix); at < names.length; at += 1) {
      const username = names[at]
      if (username === undefined || !username.startsWith(prefix)) break
      if (looked === limits.maxLookups) return { users, cursor: last, looked }
      looked += 1
      last = username
      const user = await this.find(username)
      if (!user || (online !== undefined && user.online !== online)) continue
      const card = this.#backing.cards.get(username)
      if (capability !== undefined && !card?.capabilities.includes(capability)) continue
      if (users.length === limit) return { users, cursor: users.at(-1)?.username ?? null, looked }
      const { lastSeenAt } = user
      users.push({ username, online: user.online, lastSeenAt, ...(cards && card && { card: card.text }) })
    }
    return { users, cursor: null, looked }
  }
}

/** Returns the index of the first name after `cursor` that may have the prefix. */
function firstAfter(names: readonly Username[], cursor: string, prefix: string): number {
  let [low, high] = [0, names.length]
  while (low < high) {
    const middle = (low + high) >> 1
    const name = names[middle] ?? ''
    if (name <= cursor || name < prefix) low = middle + 1
    else high = middle
  }
  return low
}
