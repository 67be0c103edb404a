import { limits } from '../../../protocol/limits.ts'
import type { Username } from '../../../protocol/names.ts'
import type { StoredCard } from '../cards.ts'
import type { NodeId, TokenHash } from '../ids.ts'
import type { FetchedKeys, KeyCounts, Notice, OneTimeKemKey, OneTimeKey, User } from '../store.ts'
import { MemoryAccess } from './access.ts'
import { MemoryBuckets } from './buckets.ts'
import { type Held, type InboxLimits, MemoryInbox } from './inbox.ts'

type MemoryUser = User & { deleted: boolean; tokens: { tokenHash: TokenHash; createdAt: number }[] }
export type MemoryKeys = {
  bundle: { text: string; counter: number } | undefined
  oneTimeKeys: OneTimeKey[]
  oneTimeKemKeys: OneTimeKemKey[]
  /** When the pools were replaced for the last time. */
  replacedAt: number | undefined
  /** Results of recent fetches, by `requester id`, kept for `fetchRepeatMs`. */
  served: Map<string, { at: number; keys: FetchedKeys }>
  /** The number of one-time keys taken in the window that began at `since`. */
  window: { since: number; taken: number; by: Map<Username, number> }
}
type Node = { leaseEnd: number; notify: (notice: Notice) => void }

/** The state that the nodes of one deployment share: the model of what Redis stores, in the memory of one process. */
export class MemoryBacking {
  readonly users = new Map<Username, MemoryUser>()
  /** Names that an operator released: any key may register them. */
  readonly released = new Set<Username>()
  readonly logins = new Map<TokenHash, { username: Username; expiresAt: number }>()
  readonly challenges = new Map<string, { username: Username; expiresAt: number }>()
  readonly invites = new Map<string, { expiresAt: number; user?: string }>()
  readonly nodes = new Map<NodeId, Node>()
  readonly buckets: MemoryBuckets
  readonly cards = new Map<Username, StoredCard>()
  readonly now: () => number
  readonly generation: string
  readonly #inboxLimits: InboxLimits
  readonly #inboxes = new Map<Username, MemoryInbox>()
  readonly #keys = new Map<Username, MemoryKeys>()
  #sorted: Username[] | undefined
  readonly #access = new Map<Username, MemoryAccess>()

  constructor(inboxLimits: InboxLimits, generation: string, now: () => number = Date.now) {
    this.#inboxLimits = inboxLimits
    this.generation = generation
    this.now = now
    this.buckets = new MemoryBuckets(now)
  }

  /** All names, sorted. They are sorted once after each change of `users`. */
  sortedNames(): readonly Username[] {
    this.#sorted ??= [...this.users.keys()].sort()
    return this.#sorted
  }

  namesChanged(): void {
    this.#sorted = undefined
  }

  inbox(username: Username): MemoryInbox {
    const inbox = this.#inboxes.get(username) ?? new MemoryInbox(this.#inboxLimits)
    this.#inboxes.set(username, inbox)
    return inbox
  }

  keys(username: Username): MemoryKeys {
    const keys = this.#keys.get(username) ?? {
      bundle: undefined,
      oneTimeKeys: [],
      oneTimeKemKeys: [],
      replacedAt: undefined,
      served: new Map(),
      window: { since: 0, taken: 0, by: new Map() },
    }
    this.#keys.set(username, keys)
    return keys
  }

  access(username: Username): MemoryAccess {
    const access = this.#access.get(username) ?? new MemoryAccess()
    this.#access.set(username, access)
    return access
  }

  dropKeys(username: Username): void {
    this.#keys.delete(username)
  }

  liveUser(username: Username): MemoryUser | undefined {
    const user = this.users.get(username)
    return user?.deleted ? undefined : user
  }

  /** Returns true if a claim is valid: its node has a lease, or its HTTP claim has not expired. */
  isHeld(held: Held | undefined): held is Held {
    if (!held) return false
    if (held.owner.kind === 'http') return held.until > this.now()
    return (this.nodes.get(held.node)?.leaseEnd ?? 0) > this.now()
  }

  /** Releases the socket claims of dead nodes. */
  releaseDead(): void {
    for (const inbox of this.#inboxes.values()) {
      if (inbox.held?.owner.kind === 'socket' && !this.isHeld(inbox.held)) inbox.held = undefined
    }
  }

  /** Removes expired mail and logins. */
  dropExpired(): void {
    const nowMs = this.now()
    for (const inbox of this.#inboxes.values()) inbox.dropExpired(nowMs)
    for (const [token, { expiresAt }] of this.logins) if (expiresAt <= nowMs) this.logins.delete(token)
    this.buckets.dropFull()
  }

  /** Returns the number of inboxes that sockets of a node have claimed. */
  countListening(node: NodeId): number {
    const held = [...this.#inboxes.values()].map(inbox => inbox.held)
    return held.filter(one => one?.node === node && one.owner.kind === 'socket').length
  }

  isOnline(username: Username): boolean {
    const { held } = this.inbox(username)
    return this.isHeld(held) && held.owner.kind === 'socket'
  }

  notify(node: NodeId, notice: Notice): void {
    this.nodes.get(node)?.notify(notice)
  }

  renew(node: NodeId): 'kept' | 'lapsed' {
    const nowMs = this.now()
    const known = this.nodes.get(node)
    if (!known) return 'lapsed'
    const state = known.leaseEnd > nowMs ? 'kept' : 'lapsed'
    known.leaseEnd = nowMs + limits.leaseMs
    return state
  }

  counts(username: Username): KeyCounts {
    const { oneTimeKeys, oneTimeKemKeys } = this.keys(username)
    return { oneTimeKeys: oneTimeKeys.length, oneTimeKemKeys: oneTimeKemKeys.length }
  }
}
