import { ProtocolError } from '../../protocol/errors.ts'
import { limits } from '../../protocol/limits.ts'
import { parseRecipient, parseUsername, type Username } from '../../protocol/names.ts'
import type { NodeContext } from '../node/node-context.ts'
import type { ListedUsers, User, UserQuery } from '../store/store.ts'
import { checkOwnProof } from './login.ts'

type Query = { [Field in keyof UserQuery]?: UserQuery[Field] | undefined }

/**
 * Returns a page of users, sorted by name. It may be short, or empty, although `cursor` leads to another page.
 * @throws {ProtocolError} `forbidden` if `LISTING` is closed
 */
export async function listUsers(node: NodeContext, query: Query): Promise<ListedUsers> {
  if (node.config.listing === 'closed') throw new ProtocolError('forbidden', 'this server does not list users')
  return findUsers(node, query)
}

/** The same for an operator, who may always list users. */
export function findUsers(
  node: NodeContext,
  { online, prefix, capability, cards, limit = limits.defaultPage, cursor }: Query,
): Promise<ListedUsers> {
  return node.store.users.list({
    limit: cards ? Math.min(limit, limits.maxCardPage) : limit,
    ...(capability !== undefined && { capability }),
    ...(cards && { cards }),
    ...(online !== undefined && { online }),
    ...(prefix && { prefix }),
    ...(cursor && { cursor }),
  })
}

/** @throws {ProtocolError} `invalid_username`, `unknown_user`; `forbidden` for another user if `LISTING` is closed */
export async function getUser(node: NodeContext, own: Username, name: string): Promise<User & { online: boolean }> {
  const username = parseRecipient(name, node.config.domain)
  if (node.config.listing === 'closed' && username !== own) {
    throw new ProtocolError('forbidden', 'this server does not list users')
  }
  const user = await node.store.users.find(username)
  if (!user) throw new ProtocolError('unknown_user', 'no such user')
  return user
}

/**
 * Deletes the caller's mail, keys and logins. The name stays reserved for its key.
 * @throws {ProtocolError} `forbidden` for another user, `unauthorized` for a wrong proof
 */
export async function deleteUser(
  node: NodeContext,
  own: Username,
  request: { username: string; nonce: string; signature: string },
): Promise<void> {
  const username = parseUsername(request.username)
  if (username !== own) throw new ProtocolError('forbidden', 'only the user itself may delete it')
  if (!(await node.store.logins.takeChallenge(request.nonce, username))) {
    throw new ProtocolError('unauthorized', 'the nonce is used, expired, or for another name')
  }
  await checkOwnProof(node, 'delete', { ...request, username })
  await node.store.users.delete(username)
}
