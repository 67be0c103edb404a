import type { Username } from '../../protocol/names.ts'

/**
 * Who may write to a user. `contacts`: the users it has written to since it chose this setting, and the users it has
 * explicitly allowed.
 */
export type Writers = 'anyone' | 'contacts' | 'allowlist'
/**
 * A user's rule for one peer. The store adds `contact` rules itself, and removes them when `writers` is no longer
 * `contacts`.
 */
export type Rule = 'allowed' | 'blocked' | 'contact'

/**
 * The users' settings about who may write to them. Nodes check appends and key fetches against these settings; they do
 * not know what is written. The settings are deleted with the user.
 */
export interface Privacy {
  readWriters(username: Username): Promise<Writers>
  /** Takes effect for appends at once. Other nodes start to record contacts within 1 s. */
  setWriters(username: Username, writers: Writers): Promise<void>
  /** `null` removes the rule for `peer`. `full`: the user already has `maxRules` rules. */
  setRule(username: Username, peer: Username, rule: 'allowed' | 'blocked' | null): Promise<'set' | 'full'>
  /**
   * Sorted by name. `cursor` is the last name of the previous page; `cursor: null` in the result marks the last page.
   */
  listRules(username: Username, page: RulePage): Promise<ListedRules>
}

export type RulePage = { limit: number; cursor?: string }
/** A page of rules. `looked` is the number of rules that the store read for it. */
export type ListedRules = { rules: PeerRule[]; cursor: string | null; looked: number }
export type PeerRule = { username: Username; rule: Rule }

/** Returns one page of all rules of a user. */
export function toRulePage(rules: readonly PeerRule[], { limit, cursor = '' }: RulePage): ListedRules {
  const rest = rules
    .filter(({ username }) => username > cursor)
    .sort((one, other) => (one.username < other.username ? -1 : 1))
  const page = rest.slice(0, limit)
  return { rules: page, cursor: rest.length > limit ? (page.at(-1)?.username ?? null) : null, looked: rules.length }
}

/** Decodes the `writers` field of a user. A missing value means `anyone`. */
export const asWriters = (text: string | null | undefined): Writers =>
  text === 'contacts' || text === 'allowlist' ? text : 'anyone'
