import { ProtocolError } from '../../protocol/errors.ts'
import { limits } from '../../protocol/limits.ts'
import { parseRecipient, type Username } from '../../protocol/names.ts'
import { generateSecret, hashSecret } from '../base/secrets.ts'
import type { NodeContext } from '../node/node-context.ts'
import type { AccountView, Invite, NodeView } from '../store/administration.ts'
import { endLogins } from './active-logins.ts'

const unknownUser = () => new ProtocolError('unknown_user', 'no such user')

/** Neither text starts with `-`, so that both can be typed as arguments on a command line. */
function generateInvite(): { invite: string; id: string } {
  for (;;) {
    const invite = generateSecret()
    const id = hashSecret(invite)
    if (!invite.startsWith('-') && !id.startsWith('-')) return { invite, id }
  }
}

/** Creates an invite that lets one user register. Its text is returned only here; nodes store its hash. */
export async function createInvite(
  { store }: NodeContext,
  expiresInS: number = limits.inviteTtlS,
): Promise<{ invite: string; id: string; expiresAt: number }> {
  const { invite, id } = generateInvite()
  await store.users.addInvite(id, expiresInS * 1_000)
  return { invite, id, expiresAt: store.now() + expiresInS * 1_000 }
}

export function listInvites(
  { store }: NodeContext,
  { limit = limits.defaultPage, cursor }: { limit?: number | undefined; cursor?: string | undefined },
): Promise<{ invites: Invite[]; cursor: string | null }> {
  return store.admin.listInvites({ limit, ...(cursor && { cursor }) })
}

/** @throws {ProtocolError} `not_found` */
export async function revokeInvite({ store }: NodeContext, id: string): Promise<void> {
  if (!(await store.admin.revokeInvite(id))) throw new ProtocolError('not_found', 'no such invite')
}

/** @throws {ProtocolError} `unknown_user` */
export async function inspectUser(
  { store }: NodeContext,
  username: Username,
): Promise<AccountView & { sessions: number }> {
  const [account, sessions] = await Promise.all([store.admin.findAccount(username), store.logins.list(username)])
  if (!account) throw unknownUser()
  return { ...account, sessions: sessions.length }
}

/** Blocks new logins first, then ends the existing ones. @throws {ProtocolError} `unknown_user` */
export async function blockUser(node: NodeContext, username: Username): Promise<{ sessionsEnded: number }> {
  if (!(await node.store.admin.block(username))) throw unknownUser()
  return { sessionsEnded: await endLogins(node, username) }
}

/** @throws {ProtocolError} `unknown_user` */
export async function unblockUser({ store }: NodeContext, username: Username): Promise<void> {
  if (!(await store.admin.unblock(username))) throw unknownUser()
}

/** Deletes mail, keys and logins. The name stays reserved for its key. @throws {ProtocolError} `unknown_user` */
export async function removeUser({ store }: NodeContext, username: Username): Promise<void> {
  if (!(await store.admin.findAccount(username))) throw unknownUser()
  await store.users.delete(username)
}

/**
 * For an agent that lost its key: deletes the user, whose mail cannot be decrypted any more, and frees the name for a
 * new key. Peers that knew the old key get a warning from their own clients.
 * @throws {ProtocolError} `unknown_user`; `unavailable` while another node still deletes the user
 */
export async function releaseName(node: NodeContext, username: Username): Promise<void> {
  await removeUser(node, username)
  const outcome = await node.store.admin.releaseName(username)
  if (outcome === 'live') throw new ProtocolError('unavailable', 'its deletion is not complete', { retryAfter: 1 })
}

export async function listNodes({ store }: NodeContext): Promise<(NodeView & { self: boolean })[]> {
  const nodes = await store.admin.listNodes()
  return nodes.map(view => ({ ...view, self: view.node === store.nodeId }))
}

/** @throws {ProtocolError} `not_found` */
export async function drainNode({ store }: NodeContext, node: string): Promise<void> {
  if (!(await store.admin.drain(node))) throw new ProtocolError('not_found', 'no such node')
}

/** @throws {ProtocolError} `invalid_username`, `unknown_user` of another domain */
export const parseTarget = ({ config }: NodeContext, name: string): Username => parseRecipient(name, config.domain)
