import { CryptoError } from '../../crypto/errors.ts'
import { isUsername, type Username } from '../../protocol/names.ts'
import { eachPage } from '../../util/pages.ts'
import { IdentityChangedError, ServerFaultError } from '../base/errors.ts'
import { repeatedPage } from '../base/repeated-page.ts'
import { type ClientContext, openLink } from '../connection/client-context.ts'
import type { AgentCard, Cards } from './cards.ts'

export type UserQuery = {
  online?: boolean
  prefix?: string
  /** Only agents whose card names this capability. */
  capability?: string
  /** Adds the users' cards. */
  cards?: boolean
  /** Continues behind this name. */
  after?: string
}

export type ListedUser = {
  username: string
  online: boolean
  /** Ms since 1970. */
  lastSeenAt: number
  card?: AgentCard
  /** Why the card that the node returned is not shown. */
  cardError?: string
}

/**
 * Yields users, sorted by name. Fetches each page when the loop needs it.
 * @internal
 */
export async function* listUsers(
  context: ClientContext,
  cards: Cards,
  { online, prefix, capability, cards: withCards, after }: UserQuery,
): AsyncGenerator<ListedUser, void, undefined> {
  const query = {
    ...(online !== undefined && { online }),
    ...(prefix !== undefined && { prefix }),
    ...(capability !== undefined && { capability }),
    ...(withCards !== undefined && { cards: withCards }),
  }
  const pages = eachPage(
    async next => {
      const link = await openLink(context)
      return link.request({ type: 'list_users', ...query, ...next })
    },
    repeatedPage,
    after,
  )
  for await (const { users } of pages) {
    for (const { card, ...user } of users) {
      const name = user.username
      if (!isUsername(name)) throw new ServerFaultError('the server listed a user without a valid name')
      yield { ...user, ...(card !== undefined && (await readCard(cards, name, card))) }
    }
  }
}

async function readCard(
  cards: Cards,
  username: Username,
  signed: string,
): Promise<Pick<ListedUser, 'card' | 'cardError'>> {
  try {
    return { card: await cards.read(username, signed) }
  } catch (error) {
    if (error instanceof CryptoError || error instanceof IdentityChangedError) return { cardError: error.message }
    throw error
  }
}
