import { parseUsername, type Username } from '../../../protocol/names.ts'
import type { AccountView, Administration, Invite, NodeView } from '../administration.ts'
import type { NodeId } from '../ids.ts'
import type { MemoryBacking } from './backing.ts'

export class MemoryAdministration implements Administration {
  readonly #backing: MemoryBacking

  constructor(backing: MemoryBacking) {
    this.#backing = backing
  }

  async listInvites({
    limit,
    cursor = '',
  }: {
    limit: number
    cursor?: string
  }): Promise<{ invites: Invite[]; cursor: string | null }> {
    const nowMs = this.#backing.now()
    const rest = [...this.#backing.invites]
      .filter(([, { expiresAt }]) => expiresAt > nowMs)
      .map(([id, { expiresAt, user }]) => ({
        entry: `${String(expiresAt).padStart(16, '0')} ${id}`,
        id,
        expiresAt,
        user,
      }))
      .filter(({ entry }) => entry > cursor)
      .sort((one, other) => (one.entry < other.entry ? -1 : 1))
    const page = rest.slice(0, limit)
    const invites = page.map(({ id, expiresAt, user }) => ({ id, expiresAt, usedBy: nameOf(user) }))
    return { invites, cursor: page.length < limit ? null : (page.at(-1)?.entry ?? null) }
  }

  async revokeInvite(inviteHash: string): Promise<boolean> {
    const invite = this.#backing.invites.get(inviteHash)
    this.#backing.invites.delete(inviteHash)
    return invite !== undefined && invite.expiresAt > this.#backing.now()
  }

  async findAccount(username: Username): Promise<AccountView | null> {
    const user = this.#backing.users.get(username)
    if (!user) return null
    const { identity, registeredAt, lastSeenAt, deleted } = user
    const { closed, writers } = this.#backing.access(username)
    const { length, bytes, oldestAt } = this.#backing.inbox(username)
    return {
      username,
      identity,
      registeredAt,
      lastSeenAt,
      online: this.#backing.isOnline(username),
      blocked: closed,
      deleted,
      writers,
      queue: { messages: length, bytes, oldestAt },
    }
  }

  async block(username: Username): Promise<boolean> {
    return this.#close(username, true)
  }

  async unblock(username: Username): Promise<boolean> {
    return this.#close(username, false)
  }

  #close(username: Username, closed: boolean): boolean {
    const access = this.#backing.access(username)
    if (!this.#backing.users.has(username) && !access.closed) return false
    access.closed = closed
    return true
  }

  async releaseName(username: Username): Promise<'released' | 'live' | 'unknown'> {
    const user = this.#backing.users.get(username)
    if (!user) return 'unknown'
    if (!user.deleted) return 'live'
    this.#backing.users.delete(username)
    this.#backing.namesChanged()
    this.#backing.released.add(username)
    this.#backing.inbox(username).reserved = 0
    this.#backing.inbox(username).reservation = undefined
    return 'released'
  }

  async listNodes(): Promise<NodeView[]> {
    return [...this.#backing.nodes].map(([node, { leaseEnd }]) => ({
      node,
      leaseEndsAt: leaseEnd,
      listening: this.#backing.countListening(node),
    }))
  }

  async drain(node: NodeId): Promise<boolean> {
    if (!this.#backing.nodes.has(node)) return false
    this.#backing.notify(node, { kind: 'drain' })
    return true
  }
}

/** Returns the name in the user of an invite (`name identity`). */
function nameOf(user: string | undefined): Username | null {
  const [name] = user?.split(' ') ?? []
  return name ? parseUsername(name) : null
}
