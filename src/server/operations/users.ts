import { ProtocolError } from '../../protocol/errors.ts'
import { limits } from '../../protocol/limits.ts'
import { parseRecipient, parseUsername, type Username } from '../../protocol/names.ts'
import type { NodeContext } from '../node/node-context.ts'
import type { User, UserQuery, UserStatus } from '../store/store.ts'
import { checkOwnProof } from './login.ts'

type Query = { [Field in keyof UserQuery]?: UserQuery[Field] | undefined }

/** A page of users, sorted by name. @throws {ProtocolError} `forbidden` where nobody may list them */
export async function listUsers(
  node: NodeContext,
  query: Query,
): Promise<{ users: UserStatus[]; cursor: string | null }> {
  if (node.config.listing === 'closed') throw new ProtocolError('forbidden', 'users are not listed here')
  return findUsers(node, query)
}

/** The same, for an operator. */
export function findUsers(
  node: NodeContext,
  { online, prefix, capability, cards, limit = limits.defaultPage, cursor }: Query,
): Promise<{ users: UserStatus[]; cursor: string | null }> {
  return node.store.users.list({
    limit: cards ? Math.min(limit, limits.maxCardPage) : limit,
    ...(capability !== undefined && { capability }),
    ...(cards && { cards }),
    ...(online !== undefined && { online }),
    ...(prefix && { prefix }),
    ...(cursor && { cursor }),
  })
}

/** @throws {ProtocolError} `invalid_username`, `unknown_user`; `forbidden` for another's name where nobody may list users */
export async function getUser(node: NodeContext, own: Username, name: string): Promise<User & { online: boolean }> {
  const username = parseRecipient(name, node.config.domain)
  if (node.config.listing === 'closed' && username !== own) {
    throw new ProtocolError('forbidden', 'users are not listed here')
  }
  const user = await node.store.users.find(username)
  if (!user) throw new ProtocolError('unknown_user', 'no such user')
  return user
}

/**
 * Deletes the caller's own user: mail, keys and sessions go, the name stays reserved for its key.
 * @throws {ProtocolError} `forbidden` for another's name, `unauthorized` for a wrong proof
 */
export async function deleteUser(
  node: NodeContext,
  own: Username,
  request: { username: string; nonce: string; signature: string },
): Promise<void> {
  const username = parseUsername(request.username)
  if (username !== own) throw new ProtocolError('forbidden', 'only a user itself may delete it')
  if (!(await node.store.logins.takeChallenge(request.nonce, username))) {
    throw new ProtocolError('unauthorized', 'the nonce is used, old, or of another name')
  }
  await checkOwnProof(node, 'delete', { ...request, username })
  await node.store.users.delete(username)
}
