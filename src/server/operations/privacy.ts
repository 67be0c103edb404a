import { ProtocolError } from '../../protocol/errors.ts'
import { limits } from '../../protocol/limits.ts'
import { parseRecipient, type Username } from '../../protocol/names.ts'
import type { NodeContext } from '../node/node-context.ts'
import type { ListedRules, Writers } from '../store/privacy.ts'

/** Returns which users may write to this user. If `writers` is given, sets it first. */
export async function privacy(
  { store }: NodeContext,
  own: Username,
  writers?: Writers | undefined,
): Promise<{ writers: Writers }> {
  if (writers === undefined) return { writers: await store.privacy.readWriters(own) }
  await store.privacy.setWriters(own, writers)
  return { writers }
}

/**
 * Allows or blocks another user, registered or not; `none` removes the rule. `known` says if it is registered, where
 * users are listed.
 * @throws {ProtocolError} `invalid_username`, `unknown_user` of another domain, `conflict` if the list is full
 */
export async function setRule<Rule extends 'allowed' | 'blocked' | 'none'>(
  { store, config }: NodeContext,
  own: Username,
  name: string,
  rule: Rule,
): Promise<{ username: Username; rule: Rule; known?: boolean }> {
  const username = parseRecipient(name, config.domain)
  if ((await store.privacy.setRule(own, username, rule === 'none' ? null : rule)) === 'full') {
    throw new ProtocolError('conflict', `the list is full: it has ${limits.maxRules} rules; remove one first`)
  }
  if (rule === 'none' || config.listing === 'closed') return { username, rule }
  return { username, rule, known: (await store.users.find(username)) !== null }
}

/** Returns a page of the user's rules, sorted by name. */
export function listRules(
  { store }: NodeContext,
  own: Username,
  { limit = limits.defaultPage, cursor }: { limit?: number | undefined; cursor?: string | undefined },
): Promise<ListedRules> {
  return store.privacy.listRules(own, { limit, ...(cursor && { cursor }) })
}
