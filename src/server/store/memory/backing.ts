import { limits } from '../../../protocol/limits.ts'
import type { Username } from '../../../protocol/names.ts'
import type { FetchedKeys, KeyCounts, NodeId, Notice, OneTimeKemKey, OneTimeKey, TokenHash, User } from '../store.ts'
import { type Held, type InboxLimits, MemoryInbox } from './inbox.ts'

export type MemoryUser = User & { deleted: boolean; tokens: TokenHash[] }
export type MemoryKeys = {
  bundle: { text: string; counter: number } | undefined
  oneTimeKeys: OneTimeKey[]
  oneTimeKemKeys: OneTimeKemKey[]
  /** Answers of the last minute, by requester and id. */
  served: Map<string, { at: number; keys: FetchedKeys }>
  /** One-time keys handed out in the window that began at `since`. */
  window: { since: number; taken: number }
}
type Node = { leaseEnd: number; hear: (notice: Notice) => void }

/** What the nodes of one deployment share: Redis' part, in the memory of one process. */
export class MemoryBacking {
  readonly users = new Map<Username, MemoryUser>()
  readonly sessions = new Map<TokenHash, { username: Username; expiresAt: number }>()
  readonly challenges = new Map<string, { username: Username; expiresAt: number }>()
  readonly invites = new Map<string, { expiresAt: number; user?: string }>()
  readonly nodes = new Map<NodeId, Node>()
  readonly fetches = new Map<Username, { since: number; count: number }>()
  readonly now: () => number
  readonly generation: string
  readonly #inboxLimits: InboxLimits
  readonly #inboxes = new Map<Username, MemoryInbox>()
  readonly #keys = new Map<Username, MemoryKeys>()

  constructor(inboxLimits: InboxLimits, generation: string, now: () => number = Date.now) {
    this.#inboxLimits = inboxLimits
    this.generation = generation
    this.now = now
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
      served: new Map(),
      window: { since: 0, taken: 0 },
    }
    this.#keys.set(username, keys)
    return keys
  }

  dropKeys(username: Username): void {
    this.#keys.delete(username)
  }

  liveUser(username: Username): MemoryUser | undefined {
    const user = this.users.get(username)
    return user?.deleted ? undefined : user
  }

  /** Whether a claim still counts: its node has a lease, or its HTTP caller came lately. */
  isHeld(held: Held | undefined): held is Held {
    if (!held) return false
    if (held.owner.kind === 'http') return held.until > this.now()
    return (this.nodes.get(held.node)?.leaseEnd ?? 0) > this.now()
  }

  /** Takes away what sockets of dead nodes claim. */
  releaseDead(): void {
    for (const inbox of this.#inboxes.values()) {
      if (inbox.held?.owner.kind === 'socket' && !this.isHeld(inbox.held)) inbox.held = undefined
    }
  }

  isOnline(username: Username): boolean {
    const { held } = this.inbox(username)
    return this.isHeld(held) && held.owner.kind === 'socket'
  }

  hear(node: NodeId, notice: Notice): void {
    this.nodes.get(node)?.hear(notice)
  }

  renew(node: NodeId): void {
    const known = this.nodes.get(node)
    if (known) known.leaseEnd = this.now() + limits.leaseMs
  }

  counts(username: Username): KeyCounts {
    const { oneTimeKeys, oneTimeKemKeys } = this.keys(username)
    return { oneTimeKeys: oneTimeKeys.length, oneTimeKemKeys: oneTimeKemKeys.length }
  }
}
