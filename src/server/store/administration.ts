import type { Username } from '../../protocol/names.ts'
import type { NodeId } from './ids.ts'
import type { Writers } from './privacy.ts'

/** An invite as nodes know it: `id` is the SHA-256 of its text. */
export type Invite = { id: string; expiresAt: number; usedBy: Username | null }

/** One user as its operator sees it: what nodes know, and nothing that was written. */
export type AccountView = {
  username: Username
  identity: string
  registeredAt: number
  lastSeenAt: number
  online: boolean
  blocked: boolean
  /** Its mail and keys are gone; the name is kept for the key. */
  deleted: boolean
  writers: Writers
  /** `oldestAt`: when the first envelope that waits was stored, ms since 1970. */
  queue: { messages: number; bytes: number; oldestAt: number | null }
}

/** A node with a lease: `leaseEndsAt` is in the store's clock, ms since 1970. */
export type NodeView = { node: NodeId; leaseEndsAt: number; listening: number }

/** What operators do. Each is idempotent. */
export interface Administration {
  /** Those that have not expired, the next to expire first; `cursor` is where the page before ended. */
  listInvites(page: { limit: number; cursor?: string }): Promise<{ invites: Invite[]; cursor: string | null }>
  /** Whether there was one. */
  revokeInvite(inviteHash: string): Promise<boolean>
  findAccount(username: Username): Promise<AccountView | null>
  /**
   * From now on the user cannot log in and nobody can write to it, whoever owns the name; what waits for it stays. The sessions that it
   * has are the caller's to end. Whether the name was ever registered.
   */
  block(username: Username): Promise<boolean>
  unblock(username: Username): Promise<boolean>
  /** Frees the name of a deleted user for any key. `live`: it is not deleted, or not wholly. */
  releaseName(username: Username): Promise<'released' | 'live' | 'unknown'>
  listNodes(): Promise<NodeView[]>
  /** Has a node give up what it does, with a `drain` notice within 1 s. Whether there is such a node. */
  drain(node: NodeId): Promise<boolean>
}
