import { ProtocolError } from '../../protocol/errors.ts'
import type { Username } from '../../protocol/names.ts'
import type { RelayNode } from '../base/node-context.ts'
import type { TokenHash } from '../store/ids.ts'
import type { Login } from '../store/store.ts'

/** A login as its user sees it. `session` names it and is no secret: a part of the hash that nodes keep of the token. */
export type ListedSession = { session: string; createdAt: number; expiresAt: number; current: boolean }

/** Characters of the hash: 96 bits tell the 50 of a user apart. */
const nameChars = 16
const nameOf = (tokenHash: TokenHash): string => tokenHash.slice(0, nameChars)

/** Oldest first. */
export async function listSessions(node: RelayNode, username: Username, own: TokenHash): Promise<ListedSession[]> {
  const sessions = await node.store.logins.list(username)
  return sessions.map(({ tokenHash, createdAt, expiresAt }) => ({
    session: nameOf(tokenHash),
    createdAt,
    expiresAt,
    current: tokenHash === own,
  }))
}

/** Ends one on every node within 1 s. @throws {ProtocolError} `not_found` */
export async function endSession(node: RelayNode, username: Username, session: string): Promise<void> {
  const sessions = await node.store.logins.list(username)
  const found = sessions.filter(({ tokenHash }) => nameOf(tokenHash) === session)
  if (found.length === 0) throw new ProtocolError('not_found', 'no such session')
  await revoke(node, found)
}

/** Ends all, or all but one. @returns how many */
export async function endSessions(node: RelayNode, username: Username, but?: TokenHash): Promise<number> {
  const sessions = await node.store.logins.list(username)
  const ended = sessions.filter(({ tokenHash }) => tokenHash !== but)
  await revoke(node, ended)
  return ended.length
}

async function revoke({ store }: RelayNode, sessions: readonly Login[]): Promise<void> {
  await Promise.all(sessions.map(({ tokenHash }) => store.logins.revoke(tokenHash)))
}
