import { randomUUID } from 'node:crypto'
import { limits } from '../../../protocol/limits.ts'
import type { NodeId } from '../ids.ts'
import { unlimitedStorage } from '../storage.ts'
import type { Notice, Store, StoreOptions } from '../store.ts'
import { MemoryAdministration } from './administration.ts'
import { MemoryBacking } from './backing.ts'
import type { MemoryBuckets } from './buckets.ts'
import { MemoryCards } from './cards.ts'
import { MemoryInboxes } from './inboxes.ts'
import { MemoryLogins } from './logins.ts'
import { MemoryNodes } from './nodes.ts'
import { MemoryPrivacy } from './privacy.ts'
import { MemoryPublishedKeys } from './published-keys.ts'
import { MemoryUsers } from './users.ts'

/**
 * Opens the memory engine, for one node or for several nodes of one process that share a backing. Nothing is
 * persisted.
 */
export const openMemoryStore = (options: StoreOptions, backing = memoryBacking(options)): Store =>
  new MemoryStore(backing, options.nodeId)

export const memoryBacking = (
  {
    inboxMaxMessages,
    inboxMaxBytes,
    dedupeWindowS,
    messageTtlS,
  }: Omit<StoreOptions, 'nodeId' | 'senderMaxBytes' | 'addressMaxBytes'>,
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

/** One node's view of a backing. Every method is atomic: nothing else runs between its reads and writes. */
class MemoryStore implements Store {
  readonly kind = 'memory'
  readonly nodeId: NodeId
  readonly users: MemoryUsers
  readonly logins: MemoryLogins
  readonly inboxes: MemoryInboxes
  readonly keys: MemoryPublishedKeys
  readonly buckets: MemoryBuckets
  readonly nodes: MemoryNodes
  readonly privacy: MemoryPrivacy
  readonly cards: MemoryCards
  readonly admin: MemoryAdministration
  readonly storage = unlimitedStorage
  readonly #backing: MemoryBacking
  #handler: (notice: Notice) => void = () => {}

  constructor(backing: MemoryBacking, nodeId: NodeId) {
    this.nodeId = nodeId
    this.#backing = backing
    this.logins = new MemoryLogins(backing)
    this.users = new MemoryUsers(backing, this.logins)
    this.inboxes = new MemoryInboxes(backing, nodeId)
    this.keys = new MemoryPublishedKeys(backing)
    this.buckets = backing.buckets
    this.nodes = new MemoryNodes(backing, nodeId)
    this.privacy = new MemoryPrivacy(backing)
    this.cards = new MemoryCards(backing)
    this.admin = new MemoryAdministration(backing)
    const leaseEnd = backing.now() + limits.leaseMs
    backing.nodes.set(nodeId, { leaseEnd, notify: notice => this.#handler(notice) })
  }

  generation(): string {
    return this.#backing.generation
  }

  now(): number {
    return this.#backing.now()
  }

  isReady(): boolean {
    return this.nodes.isReady
  }

  onNotice(handler: (notice: Notice) => void): void {
    this.#handler = handler
  }

  async sweep(): Promise<void> {
    this.#backing.dropExpired()
  }

  async close(): Promise<void> {
    this.#backing.nodes.delete(this.nodeId)
  }
}
