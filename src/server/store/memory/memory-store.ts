import { randomUUID } from 'node:crypto'
import { limits } from '../../../protocol/limits.ts'
import type { Username } from '../../../protocol/names.ts'
import type { Administration } from '../administration.ts'
import type { Cards } from '../cards.ts'
import { ComposedStore } from '../composed-store.ts'
import type { Privacy } from '../privacy.ts'
import type {
  Bucket,
  InviteRule,
  Lease,
  LeaseRequest,
  NodeId,
  Notice,
  Rate,
  Registered,
  RegisteredAfter,
  Store,
  StoredSession,
  StoreOptions,
  TokenHash,
  User,
  UserQuery,
  UserStatus,
} from '../store.ts'
import { MemoryAdministration } from './administration.ts'
import { MemoryBacking } from './backing.ts'
import { MemoryCards } from './cards.ts'
import { MemoryInboxes } from './inboxes.ts'
import { MemoryPrivacy } from './privacy.ts'
import { MemoryPublishedKeys } from './published-keys.ts'

/** The memory engine: for one node, or for several of one process that share a backing. Nothing survives it. */
export const openMemoryStore = (options: StoreOptions, backing = memoryBacking(options)): Store =>
  new MemoryStore(backing, options.nodeId)

export const memoryBacking = (
  { inboxMaxMessages, inboxMaxBytes, dedupeWindowS, messageTtlS }: Omit<StoreOptions, 'nodeId'>,
  now?: () => number,
): MemoryBacking => {
  const limits = {
    inboxMaxMessages,
    inboxMaxBytes,
    dedupeWindowMs: dedupeWindowS * 1_000,
    messageTtlMs: messageTtlS * 1_000,
  }
  return new MemoryBacking(limits, randomUUID(), now)
}

/** One node's view of a backing; several may share one. Every method is one step: nothing runs between its reads and writes. */
export class MemoryStore extends ComposedStore implements Store {
  readonly kind = 'memory'
  readonly nodeId: NodeId
  readonly privacy: Privacy
  readonly cards: Cards
  readonly admin: Administration
  readonly #backing: MemoryBacking
  protected readonly inboxes: MemoryInboxes
  protected readonly keys: MemoryPublishedKeys
  #hear: (notice: Notice) => void = () => {}
  #isInDoubt = false

  constructor(backing: MemoryBacking, nodeId: NodeId) {
    super()
    this.nodeId = nodeId
    this.#backing = backing
    this.inboxes = new MemoryInboxes(backing, nodeId)
    this.keys = new MemoryPublishedKeys(backing)
    this.privacy = new MemoryPrivacy(backing)
    this.cards = new MemoryCards(backing)
    this.admin = new MemoryAdministration(backing)
    const leaseEnd = backing.now() + limits.leaseMs
    backing.nodes.set(nodeId, { leaseEnd, hear: notice => this.#hear(notice) })
  }

  generation(): string {
    return this.#backing.generation
  }

  now(): number {
    return this.#backing.now()
  }

  isReady(): boolean {
    return this.#backing.nodes.has(this.nodeId) && !this.#isInDoubt
  }

  onNotice(handler: (notice: Notice) => void): void {
    this.#hear = handler
  }

  async close(): Promise<void> {
    this.#backing.nodes.delete(this.nodeId)
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
    return 'created'
  }

  /** Who used an invite may use it again: it may not have heard that it did. */
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

  async findUser(username: Username): Promise<(User & { online: boolean; blocked: boolean }) | null> {
    const user = this.#backing.liveUser(username)
    if (!user) return null
    const { identity, registeredAt, lastSeenAt } = user
    const blocked = this.#backing.access(username).closed
    return { username, identity, registeredAt, lastSeenAt, online: this.#backing.isOnline(username), blocked }
  }

  async deleteUser(username: Username): Promise<void> {
    const user = this.#backing.liveUser(username)
    if (!user) return
    user.deleted = true
    for (const { tokenHash } of [...user.tokens]) await this.revokeSession(tokenHash)
    const inbox = this.#backing.inbox(username)
    if (inbox.held) this.#backing.hear(inbox.held.node, { kind: 'deleted', username })
    inbox.clear()
    this.#backing.dropKeys(username)
    this.#backing.cards.delete(username)
    this.#backing.access(username).clear()
  }

  async listUsers({
    online,
    prefix = '',
    capability,
    cards = false,
    limit,
    cursor = '',
  }: UserQuery): Promise<{ users: UserStatus[]; cursor: string | null }> {
    const users: UserStatus[] = []
    for (const username of [...this.#backing.users.keys()].sort()) {
      if (username <= cursor || !username.startsWith(prefix)) continue
      const user = await this.findUser(username)
      if (!user || (online !== undefined && user.online !== online)) continue
      const card = this.#backing.cards.get(username)
      if (capability !== undefined && !card?.capabilities.includes(capability)) continue
      if (users.length === limit) return { users, cursor: users.at(-1)?.username ?? null }
      const { lastSeenAt } = user
      users.push({ username, online: user.online, lastSeenAt, ...(cards && card && { card: card.text }) })
    }
    return { users, cursor: null }
  }

  async createSession(tokenHash: TokenHash, username: Username, ttlMs: number): Promise<{ expiresAt: number }> {
    const expiresAt = this.#backing.now() + ttlMs
    const user = this.#backing.liveUser(username)
    this.#backing.sessions.delete(tokenHash)
    if (!user || this.#backing.access(username).closed) return { expiresAt }
    this.#backing.sessions.set(tokenHash, { username, expiresAt })
    const tokens = user.tokens.filter(token => token.tokenHash !== tokenHash)
    tokens.push({ tokenHash, createdAt: this.#backing.now() })
    user.tokens = tokens
    for (const oldest of tokens.slice(0, -limits.maxSessionsPerUser)) await this.revokeSession(oldest.tokenHash)
    return { expiresAt }
  }

  async findSession(tokenHash: TokenHash): Promise<{ username: Username; expiresAt: number } | null> {
    const session = this.#backing.sessions.get(tokenHash)
    return session && session.expiresAt > this.#backing.now() ? session : null
  }

  async listSessions(username: Username): Promise<StoredSession[]> {
    return (this.#backing.users.get(username)?.tokens ?? []).flatMap(({ tokenHash, createdAt }) => {
      const session = this.#backing.sessions.get(tokenHash)
      const isOpen = session !== undefined && session.expiresAt > this.#backing.now()
      return isOpen ? [{ tokenHash, createdAt, expiresAt: session.expiresAt }] : []
    })
  }

  async revokeSession(tokenHash: TokenHash): Promise<void> {
    const session = this.#backing.sessions.get(tokenHash)
    if (!session) return
    this.#backing.sessions.delete(tokenHash)
    const user = this.#backing.users.get(session.username)
    if (user) user.tokens = user.tokens.filter(token => token.tokenHash !== tokenHash)
    for (const { hear } of this.#backing.nodes.values()) hear({ kind: 'revoked', tokenHash })
  }

  async putChallenge(nonce: string, username: Username, ttlMs: number): Promise<void> {
    const nowMs = this.#backing.now()
    for (const [old, { expiresAt }] of this.#backing.challenges) {
      if (expiresAt > nowMs) break
      this.#backing.challenges.delete(old)
    }
    this.#backing.challenges.set(nonce, { username, expiresAt: nowMs + ttlMs })
  }

  async takeChallenge(nonce: string, username: Username): Promise<boolean> {
    const challenge = this.#backing.challenges.get(nonce)
    this.#backing.challenges.delete(nonce)
    return challenge !== undefined && challenge.username === username && challenge.expiresAt > this.#backing.now()
  }

  async leaseTokens(bucket: Bucket, rate: Rate, request: LeaseRequest): Promise<Lease> {
    return this.#backing.buckets.lease(bucket, rate, request)
  }

  async renewLease(): Promise<'kept' | 'lapsed'> {
    this.#isInDoubt = false
    return this.#backing.renew(this.nodeId)
  }

  doubtLease(): void {
    this.#isInDoubt = true
  }

  async cleanUpDeadNodes(): Promise<void> {
    this.#backing.releaseDead()
  }

  async sweep(): Promise<void> {
    this.#backing.dropExpired()
  }
}
