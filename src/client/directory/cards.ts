import { CryptoError } from '../../crypto/errors.ts'
import { type Card, checkCardContent, decodeCard, encodeCard } from '../../crypto/keys/card.ts'
import { identityOf, type Peer } from '../../crypto/session/peer.ts'
import { type CardContent, isCardContent } from '../../protocol/card.ts'
import { ProtocolError } from '../../protocol/errors.ts'
import { limits } from '../../protocol/limits.ts'
import { formatAddress, parseRecipient, type Username } from '../../protocol/names.ts'
import { decodeBase64Url, encodeBase64Url, equalBytes, isBase64Url } from '../../util/bytes.ts'
import { isWellFormedJson } from '../../util/well-formed.ts'
import { object, optional, text } from '../base/arguments.ts'
import { checkMethods } from '../base/checked-methods.ts'
import { IdentityChangedError, IllFormedTextError, InvalidArgumentError } from '../base/errors.ts'
import { type ClientContext, openLink } from '../connection/client-context.ts'
import type { Self } from '../connection/identity.ts'
import { decodeInteger, encodeInteger } from '../records/integer-record.ts'
import { keys } from '../records/keys.ts'

/** An agent's description of itself. Only `username` and `verified` are checked; the rest is text by a stranger. */
export type AgentCard = CardContent & {
  username: Username
  /** The trust in the key that signed the card. `unmet`: no key is pinned, so the node may have forged the card. */
  verified: 'verified' | 'first-use' | 'unmet'
  /** The key that signed the card, base64url. */
  identity: string
  /** The signed card, base64url, so that the application can check it again. */
  signed: string
}

const cardRule =
  `must have a title of 1 to 80 characters, at most ${limits.maxCapabilities} different capabilities ` +
  '(1 to 32 of a-z 0-9 . _ - each), acceptsRequests (true or false), and if it has them, a description of at most ' +
  '500 characters and a version of 1 to 32'

/** Publishes and reads cards: docs/E2E.md section 14. */
export class Cards {
  readonly #context: ClientContext

  /** @internal */
  constructor(context: ClientContext) {
    this.#context = context
  }

  /**
   * Publishes this agent's card in place of an earlier one. The caller may repeat it after a failure.
   * @throws {InvalidArgumentError} {IllFormedTextError} {CryptoError} `too_large`: nothing was sent.
   * @throws {ProtocolError} {UnreachableError}
   */
  async publish(content: CardContent): Promise<void> {
    const { username } = this.#context.self()
    try {
      await this.#upload(content)
    } catch (error) {
      if (!(error instanceof ProtocolError) || error.code !== 'conflict') throw error
      // The node has a newer card of this agent, with its signature: this one goes above its number.
      await this.of(username)
      await this.#upload(content)
    }
  }

  async #upload(content: CardContent): Promise<void> {
    const { store, now, self } = this.#context
    const { username, address, identity } = self()
    if (!isCardContent(content)) throw new InvalidArgumentError('content', cardRule)
    if (!isWellFormedJson(JSON.stringify(checkCardContent(content)))) throw new IllFormedTextError('the card')
    const card = await store.transaction(async tx => {
      const last = decodeInteger((await tx.get(keys.card(username))) ?? encodeInteger(0))
      const seq = Math.max(last + 1, Math.floor(now() / 1_000))
      const bytes = encodeCard(identity, { address, identity: identity.publicKey, seq, content })
      tx.put(keys.card(username), encodeInteger(seq))
      tx.put(keys.ownCard(), bytes)
      return bytes
    })
    await (await openLink(this.#context)).request({
      type: 'publish_card',
      card: encodeBase64Url(card),
    })
  }

  /** Removes this agent's card. */
  async remove(): Promise<void> {
    await this.#context.store.transaction(tx => tx.delete(keys.ownCard()))
    await (await openLink(this.#context)).request({ type: 'publish_card' })
  }

  /**
   * Fetches and checks the card of a peer, or of this agent.
   * @throws {ProtocolError} `not_found` if there is none.
   * @throws {CryptoError} `bad_card` if it is not the peer's, or older than one seen before.
   * @throws {IdentityChangedError} until the user decides about the peer's changed key.
   */
  async of(peer: string = this.#context.self().username): Promise<AgentCard> {
    const username = parseRecipient(peer, this.#context.self().domain)
    const { card } = await (await openLink(this.#context)).request({ type: 'fetch_card', username })
    return this.read(username, card)
  }

  /** Checks a card that a node returned. @throws as `of` */
  async read(username: Username, signed: string): Promise<AgentCard> {
    const { store, self } = this.#context
    const own = self()
    if (!isBase64Url(signed)) throw new CryptoError('malformed')
    const card = decodeCard(decodeBase64Url(signed))
    if (card.address !== formatAddress(username, own.domain)) throw new CryptoError('bad_card')
    const verified = await store.transaction(async tx => {
      const known =
        username === own.username
          ? trustInOwn(own, card)
          : trustIn(username, await this.#context.loadPeer(tx, username), card)
      if (known === 'unmet') return known
      const seen = await tx.get(keys.card(username))
      const highest = seen ? decodeInteger(seen) : -1
      if (card.seq < highest) throw new CryptoError('bad_card')
      if (card.seq > highest) tx.put(keys.card(username), encodeInteger(card.seq))
      return known
    })
    return { username, ...card.content, verified, identity: encodeBase64Url(card.identity), signed }
  }
}

checkMethods(Cards, {
  publish: ['promise', ['content', object({})]],
  remove: ['promise'],
  of: ['promise', ['peer', optional(text)]],
  read: ['promise', ['username', text], ['signed', text]],
})

function trustInOwn({ identity }: Self, card: Card): 'verified' {
  if (!equalBytes(card.identity, identity.publicKey)) throw new CryptoError('bad_card')
  return 'verified'
}

function trustIn(username: Username, peer: Peer, card: Card): AgentCard['verified'] {
  if (peer.trust === 'changed') throw new IdentityChangedError(username)
  const pinned = identityOf(peer)
  if (!pinned || peer.trust === 'unknown') return 'unmet'
  if (!equalBytes(pinned, card.identity)) throw new CryptoError('bad_card')
  return peer.trust
}
