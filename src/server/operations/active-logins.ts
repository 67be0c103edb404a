import { ProtocolError } from '../../protocol/errors.ts'
import type { Username } from '../../protocol/names.ts'
import type { NodeContext } from '../node/node-context.ts'
import type { TokenHash } from '../store/ids.ts'
import type { Login } from '../store/store.ts'

/** A login as its user sees it. `session` is its public id: a prefix of the hash of its token. */
type ListedLogin = { session: string; createdAt: number; expiresAt: number; current: boolean }

/** Length of the prefix, characters: 96 bits distinguish the 50 logins of a user. */
const nameChars = 16
const nameOf = (tokenHash: TokenHash): string => tokenHash.slice(0, nameChars)

/** Lists the user's logins, oldest first. */
export async function listLogins(node: NodeContext, username: Username, own: TokenHash): Promise<ListedLogin[]> {
  const sessions = await node.store.logins.list(username)
  return sessions.map(({ tokenHash, createdAt, expiresAt }) => ({
    session: nameOf(tokenHash),
    createdAt,
    expiresAt,
    current: tokenHash === own,
  }))
}

/** Ends one login, on every node within 1 s. @throws {ProtocolError} `not_found` */
export async function endLogin(node: NodeContext, username: Username, session: string): Promise<void> {
  const sessions = await node.store.logins.list(username)
  const found = sessions.filter(({ tokenHash }) => nameOf(tokenHash) === session)
  if (found.length === 0) throw new ProtocolError('not_found', 'no such login')
  await revoke(node, found)
}

/** Ends all logins of a user except `but`. @returns the number of ended logins */
export async function endLogins(node: NodeContext, username: Username, but?: TokenHash): Promise<number> {
  const sessions = await node.store.logins.list(username)
  const ended = sessions.filter(({ tokenHash }) => tokenHash !== but)
  await revoke(node, ended)
  return ended.length
}

async function revoke({ store }: NodeContext, sessions: readonly Login[]): Promise<void> {
  await Promise.all(sessions.map(({ tokenHash }) => store.logins.revoke(tokenHash)))
}
