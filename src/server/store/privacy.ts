import type { Username } from '../../protocol/names.ts'

/** Who may write to a user. `contacts`: those it has written to since it said so, and those it allows. */
export type Writers = 'anyone' | 'contacts' | 'allowlist'
/** What a user says of one other. `contact` is noted by the store, and ends when `writers` is not `contacts` any more. */
export type Rule = 'allowed' | 'blocked' | 'contact'

/**
 * What users decide about who writes to them. Nodes hold appends and key fetches against it without knowing what is written. A user
 * that is deleted decides nothing any more.
 */
export interface Privacy {
  readWriters(username: Username): Promise<Writers>
  /** Holds for appends at once; whom the user writes to is noted from then on, at other nodes within 1 s. */
  setWriters(username: Username, writers: Writers): Promise<void>
  /** `null` takes whatever was said of `peer` back. `full`: `maxRules` others have one. */
  setRule(username: Username, peer: Username, rule: 'allowed' | 'blocked' | null): Promise<'set' | 'full'>
  /** Sorted by name; `cursor` is the last name of the page before. `cursor: null` in the answer is the end. */
  listRules(username: Username, page: RulePage): Promise<{ rules: PeerRule[]; cursor: string | null }>
}

export type RulePage = { limit: number; cursor?: string }
export type PeerRule = { username: Username; rule: Rule }

/** A page of rules, of all that a user has. */
export function toRulePage(
  rules: readonly PeerRule[],
  { limit, cursor = '' }: RulePage,
): { rules: PeerRule[]; cursor: string | null } {
  const rest = rules
    .filter(({ username }) => username > cursor)
    .sort((one, other) => (one.username < other.username ? -1 : 1))
  const page = rest.slice(0, limit)
  return { rules: page, cursor: rest.length > limit ? (page.at(-1)?.username ?? null) : null }
}

/** Decodes the `writers` field of a user. A missing value means `anyone`. */
export const asWriters = (text: string | null | undefined): Writers =>
  text === 'contacts' || text === 'allowlist' ? text : 'anyone'
