import { decodeCard } from '../../crypto/keys/card.ts'
import { ProtocolError } from '../../protocol/errors.ts'
import type { Username } from '../../protocol/names.ts'
import type { NodeContext } from '../node/node-context.ts'
import type { StoredCard } from '../store/cards.ts'
import { checkOwner, ownerOf, readSigned } from './signed.ts'
import { getUser } from './users.ts'

/**
 * Stores a card after checking its signature with the key that the name is registered with. Without `text`, removes the
 * stored card.
 * @throws {ProtocolError} `bad_frame`; `conflict` if the card is older than the stored card
 */
export async function publishCard(node: NodeContext, username: Username, text: string | undefined): Promise<void> {
  const stored = text === undefined ? null : await toStored(node, username, text)
  if ((await node.store.cards.publish(username, stored)) === 'conflict') {
    throw new ProtocolError('conflict', 'the card is older than the stored card')
  }
}

/** @throws {ProtocolError} `not_found` if the user has no card; all errors of `getUser` */
export async function fetchCard(
  node: NodeContext,
  own: Username,
  name: string,
): Promise<{ username: Username; card: string }> {
  const { username } = await getUser(node, own, name)
  const card = await node.store.cards.find(username)
  if (card === null) throw new ProtocolError('not_found', 'the user has published no card')
  return { username, card }
}

async function toStored(node: NodeContext, username: Username, text: string): Promise<StoredCard> {
  const card = readSigned('card', text, decodeCard)
  checkOwner('card', card, await ownerOf(node, username))
  return { text, counter: card.seq, capabilities: card.content.capabilities }
}
