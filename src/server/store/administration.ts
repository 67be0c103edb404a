import type { Username } from '../../protocol/names.ts'
import type { NodeId } from './ids.ts'
import type { Writers } from './privacy.ts'

/** An invite. `id` is the SHA-256 of its text; nodes do not store the text. */
export type Invite = { id: string; expiresAt: number; usedBy: Username | null }

/** One user as the operator sees it: metadata only, never a message. */
export type AccountView = {
  username: Username
  identity: string
  registeredAt: number
  lastSeenAt: number
  online: boolean
  blocked: boolean
  /** Its mail and keys are deleted; the name stays reserved for its identity key. */
  deleted: boolean
  writers: Writers
  /** `oldestAt`: when the oldest queued envelope was stored, ms since 1970. */
  queue: { messages: number; bytes: number; oldestAt: number | null }
}

/** A node with a lease. `leaseEndsAt` refers to the store's clock, ms since 1970. */
export type NodeView = { node: NodeId; leaseEndsAt: number; listening: number }

/** Operations for operators. Each is idempotent. */
export interface Administration {
  /** Returns invites that have not expired, the next to expire first. `cursor` is the cursor of the previous page. */
  listInvites(page: { limit: number; cursor?: string }): Promise<{ invites: Invite[]; cursor: string | null }>
  /** Returns true if the invite existed. */
  revokeInvite(inviteHash: string): Promise<boolean>
  findAccount(username: Username): Promise<AccountView | null>
  /**
   * Blocks the name: its user cannot log in and nobody can write to it, whichever key owns the name. Queued mail stays.
   * The caller must end the user's existing logins. Returns true if the name was ever registered.
   */
  block(username: Username): Promise<boolean>
  unblock(username: Username): Promise<boolean>
  /** Frees the name of a deleted user for any key. `live`: the user is not deleted, or its deletion is not complete. */
  releaseName(username: Username): Promise<'released' | 'live' | 'unknown'>
  listNodes(): Promise<NodeView[]>
  /** Sends a `drain` notice to a node; it arrives within 1 s. Returns true if the node exists. */
  drain(node: NodeId): Promise<boolean>
}
