import { createHash, randomUUID } from 'node:crypto'
import { limits } from '../../../protocol/limits.ts'
import type { Username } from '../../../protocol/names.ts'
import type {
  AppendItem,
  AppendResult,
  Claim,
  Envelope,
  FetchedKeys,
  InviteRule,
  KeyCounts,
  KeyUpload,
  NodeId,
  Notice,
  Owner,
  ReadLimit,
  Store,
  StoreOptions,
  TokenHash,
  User,
  UserQuery,
  UserStatus,
} from '../store.ts'
import { MemoryBacking } from './backing.ts'
import type { Held } from './inbox.ts'

/** What a sender is asked to wait when an inbox is full, s. */
const fullRetryS = 60

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
export class MemoryStore implements Store {
  readonly kind = 'memory'
  readonly nodeId: NodeId
  readonly #backing: MemoryBacking
  #hear: (notice: Notice) => void = () => {}

  constructor(backing: MemoryBacking, nodeId: NodeId) {
    this.nodeId = nodeId
    this.#backing = backing
    const leaseEnd = backing.now() + limits.leaseMs
    backing.nodes.set(nodeId, { leaseEnd, hear: notice => this.#hear(notice) })
  }

  generation(): string {
    return this.#backing.generation
  }

  isReady(): boolean {
    return this.#backing.nodes.has(this.nodeId)
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
  ): Promise<'created' | 'same' | 'taken' | 'forbidden'> {
    const known = this.#backing.users.get(username)
    if (known && known.identity !== identity) return 'taken'
    if (known && !known.deleted) return 'same'
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

  async findUser(username: Username): Promise<(User & { online: boolean }) | null> {
    const user = this.#backing.liveUser(username)
    if (!user) return null
    const { identity, registeredAt, lastSeenAt } = user
    return { username, identity, registeredAt, lastSeenAt, online: this.#backing.isOnline(username) }
  }

  async deleteUser(username: Username): Promise<void> {
    const user = this.#backing.liveUser(username)
    if (!user) return
    const inbox = this.#backing.inbox(username)
    if (inbox.held) this.#tellReplaced(username, inbox.held, inbox.held.epoch + 1, '')
    inbox.clear()
    for (const token of [...user.tokens]) await this.revokeSession(token)
    this.#backing.dropKeys(username)
    user.deleted = true
  }

  async listUsers({
    online,
    prefix = '',
    limit,
    cursor = '',
  }: UserQuery): Promise<{ users: UserStatus[]; cursor: string | null }> {
    const users: UserStatus[] = []
    for (const username of [...this.#backing.users.keys()].sort()) {
      if (username <= cursor || !username.startsWith(prefix)) continue
      const user = await this.findUser(username)
      if (!user || (online !== undefined && user.online !== online)) continue
      if (users.length === limit) return { users, cursor: users.at(-1)?.username ?? null }
      users.push({ username, online: user.online, lastSeenAt: user.lastSeenAt })
    }
    return { users, cursor: null }
  }

  async createSession(tokenHash: TokenHash, username: Username, ttlMs: number): Promise<{ expiresAt: number }> {
    const expiresAt = this.#backing.now() + ttlMs
    const user = this.#backing.liveUser(username)
    if (!user) return { expiresAt }
    this.#backing.sessions.set(tokenHash, { username, expiresAt })
    const { tokens } = user
    tokens.push(tokenHash)
    for (const oldest of tokens.slice(0, -limits.maxSessionsPerUser)) await this.revokeSession(oldest)
    return { expiresAt }
  }

  async findSession(tokenHash: TokenHash): Promise<{ username: Username; expiresAt: number } | null> {
    const session = this.#backing.sessions.get(tokenHash)
    return session && session.expiresAt > this.#backing.now() ? session : null
  }

  async revokeSession(tokenHash: TokenHash): Promise<void> {
    const session = this.#backing.sessions.get(tokenHash)
    if (!session) return
    this.#backing.sessions.delete(tokenHash)
    const user = this.#backing.users.get(session.username)
    if (user) user.tokens = user.tokens.filter(token => token !== tokenHash)
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

  async append(items: readonly AppendItem[]): Promise<AppendResult[]> {
    const blocked = new Set<string>()
    const nowMs = this.#backing.now()
    return items.map(item => {
      const pair = `${item.stream} ${item.to}`
      if (blocked.has(pair)) return { status: 'inbox_full', retryAfter: fullRetryS }
      const result = this.#append(item, nowMs)
      if (result.status === 'inbox_full') blocked.add(pair)
      return result
    })
  }

  #append(item: AppendItem, nowMs: number): AppendResult {
    if (!this.#backing.liveUser(item.to)) return { status: 'unknown_user' }
    const inbox = this.#backing.inbox(item.to)
    const fingerprint = createHash('sha256').update(`${item.kind} ${item.body}`).digest('base64url')
    const appended = inbox.append(item, fingerprint, nowMs)
    if (appended.status === 'inbox_full') return { ...appended, retryAfter: fullRetryS }
    if (appended.status === 'id_reused') return appended
    const { envelope, repeated } = appended
    const { held } = inbox
    const isHeld = this.#backing.isHeld(held)
    if (isHeld) this.#hint(item.to, held, repeated ? undefined : envelope)
    return { status: 'stored', seq: envelope.seq, queued: !isHeld, repeated }
  }

  #hint(username: Username, { node, epoch }: Held, stored: (Envelope & { expiresAt: number }) | undefined): void {
    if (!stored) return this.#backing.hear(node, { kind: 'appended', username, epoch })
    const { expiresAt: _kept, ...envelope } = stored
    this.#backing.hear(node, { kind: 'appended', username, epoch, envelope })
  }

  async claim(username: Username, owner: Owner): Promise<{ claim: Claim; queued: number } | 'conflict'> {
    const inbox = this.#backing.inbox(username)
    const { held } = inbox
    const isOwn = held?.owner.kind === 'http' && held.owner.connection === owner.connection
    if (owner.kind === 'http' && this.#backing.isHeld(held) && !isOwn) return 'conflict'
    const next = owner.kind === 'http' && isOwn && this.#backing.isHeld(held) ? held : this.#take(username, owner)
    next.node = this.nodeId
    if (owner.kind === 'http') next.until = this.#backing.now() + owner.ttlMs
    this.#touch(username)
    return { claim: { username, epoch: next.epoch, owner }, queued: inbox.length }
  }

  #take(username: Username, owner: Owner): Held {
    const inbox = this.#backing.inbox(username)
    const { held: before } = inbox
    const held = inbox.claim(owner, this.nodeId, this.#backing.now())
    if (before) this.#tellReplaced(username, before, held.epoch, owner.kind === 'socket' ? owner.instance : '')
    return held
  }

  #tellReplaced(username: Username, { node, owner }: Held, epoch: number, instance: string): void {
    this.#backing.hear(node, { kind: 'replaced', username, connection: owner.connection, epoch, instance })
  }

  #touch(username: Username): void {
    const user = this.#backing.users.get(username)
    if (user) user.lastSeenAt = this.#backing.now()
  }

  async read(claim: Claim, after: number, limit: ReadLimit): Promise<Envelope[] | 'stale'> {
    const inbox = this.#backing.inbox(claim.username)
    const held = inbox.match(claim, this.nodeId)
    if (!held) return 'stale'
    const envelopes = inbox.read(after, limit, this.#backing.now())
    if (claim.owner.kind === 'http') {
      held.until = this.#backing.now() + claim.owner.ttlMs
      held.returnedUpTo = Math.max(held.returnedUpTo, envelopes.at(-1)?.seq ?? 0)
    }
    return envelopes
  }

  async ack(claim: Claim, seq: number): Promise<'acked' | 'stale' | 'bad_ack'> {
    const inbox = this.#backing.inbox(claim.username)
    const held = inbox.match(claim, this.nodeId)
    if (!held) return 'stale'
    if (claim.owner.kind === 'http' && seq > held.returnedUpTo) return 'bad_ack'
    inbox.trim(seq)
    return 'acked'
  }

  async release(claim: Claim): Promise<void> {
    const inbox = this.#backing.inbox(claim.username)
    if (!inbox.match(claim, this.nodeId)) return
    inbox.held = undefined
    this.#touch(claim.username)
  }

  async countQueued(username: Username): Promise<number> {
    return this.#backing.inbox(username).length
  }

  async reserve(username: Username, upTo: number): Promise<number> {
    const inbox = this.#backing.inbox(username)
    inbox.reserved = Math.max(inbox.reserved, upTo)
    return inbox.reserved
  }

  async publishKeys(
    username: Username,
    { bundle, oneTimeKeys = [], oneTimeKemKeys = [] }: KeyUpload,
  ): Promise<KeyCounts | 'conflict'> {
    if (!this.#backing.liveUser(username)) return { oneTimeKeys: 0, oneTimeKemKeys: 0 }
    const keys = this.#backing.keys(username)
    if (bundle && keys.bundle && bundle.counter < keys.bundle.counter) return 'conflict'
    if (bundle) keys.bundle = bundle
    keys.oneTimeKeys = fill(keys.oneTimeKeys, oneTimeKeys, limits.maxOneTimeKeys)
    keys.oneTimeKemKeys = fill(keys.oneTimeKemKeys, oneTimeKemKeys, limits.maxOneTimeKemKeys)
    return this.#backing.counts(username)
  }

  async countKeys(username: Username): Promise<KeyCounts> {
    return this.#backing.counts(username)
  }

  async fetchKeys(
    username: Username,
    requester: Username,
    id: string,
  ): Promise<FetchedKeys | 'unknown_user' | 'no_keys' | 'rate_limited'> {
    const nowMs = this.#backing.now()
    if (this.#isOverLimit(requester, nowMs)) return 'rate_limited'
    if (!this.#backing.liveUser(username)) return 'unknown_user'
    const keys = this.#backing.keys(username)
    if (!keys.bundle) return 'no_keys'
    const request = `${requester} ${id}`
    const served = keys.served.get(request)
    if (served && nowMs - served.at <= limits.fetchRepeatMs) return served.keys
    const fetched = this.#takeOneTimeKeys(username, nowMs)
    for (const [old, { at }] of keys.served) {
      if (nowMs - at <= limits.fetchRepeatMs) break
      keys.served.delete(old)
    }
    keys.served.set(request, { at: nowMs, keys: fetched })
    this.#tellLow(username)
    return fetched
  }

  #isOverLimit(requester: Username, nowMs: number): boolean {
    const window = this.#backing.fetches.get(requester)
    const isOpen = window && nowMs - window.since <= limits.fetchWindowMs
    const count = (isOpen ? window.count : 0) + 1
    this.#backing.fetches.set(requester, { since: isOpen ? window.since : nowMs, count })
    return count > limits.maxFetchesPerRequester
  }

  #takeOneTimeKeys(username: Username, nowMs: number): FetchedKeys {
    const keys = this.#backing.keys(username)
    const isOpen = nowMs - keys.window.since <= limits.fetchWindowMs
    if (!isOpen) keys.window = { since: nowMs, taken: 0 }
    const bundle = keys.bundle?.text ?? ''
    if (keys.window.taken >= limits.maxOneTimeFetchesPerTarget) return { bundle }
    keys.window.taken += 1
    const oneTimeKey = keys.oneTimeKeys.shift()
    const oneTimeKemKey = keys.oneTimeKemKeys.shift()
    return { bundle, ...(oneTimeKey && { oneTimeKey }), ...(oneTimeKemKey && { oneTimeKemKey }) }
  }

  #tellLow(username: Username): void {
    const counts = this.#backing.counts(username)
    const { held } = this.#backing.inbox(username)
    const isLow = counts.oneTimeKeys < limits.lowOneTimeKeys || counts.oneTimeKemKeys < limits.lowOneTimeKemKeys
    if (isLow && this.#backing.isHeld(held)) this.#backing.hear(held.node, { kind: 'keys-low', username, counts })
  }

  async renewLease(): Promise<void> {
    this.#backing.renew(this.nodeId)
  }

  async cleanUpDeadNodes(): Promise<void> {
    this.#backing.releaseDead()
  }
}

function fill<Key extends { id: number }>(held: Key[], added: readonly Key[], full: number): Key[] {
  const keys = [...held]
  for (const key of added) {
    if (keys.length < full && !keys.some(({ id }) => id === key.id)) keys.push(key)
  }
  return keys
}
