import type { Username } from '../../../../protocol/names.ts'
import type { Cards, StoredCard } from '../../cards.ts'
import { capabilityKey, cardKey, metaKey } from '../connection/keys.ts'
import type { RedisClient } from '../connection/redis-client.ts'
import { asString, orNull } from '../connection/reply.ts'
import { scripts } from '../connection/script.ts'
import { settled } from '../connection/store-error.ts'
import type { RedisContext } from '../nodes/context.ts'

/**
 * Cards, and the indexes of their capabilities, which are in other slots: written after the card, and repaired by reading. An entry whose card
 * does not name the capability is taken out by the listing that meets it, and a card that is read is entered again.
 */
export class RedisCards implements Cards {
  readonly #context: RedisContext

  constructor(context: RedisContext) {
    this.#context = context
  }

  async publish(username: Username, card: StoredCard | null): Promise<'published' | 'conflict'> {
    const capabilities = card?.capabilities ?? []
    const args = [card?.text ?? '', card?.counter ?? 0, capabilities.join(' ')]
    return this.#context.withDurability(async redis => {
      const keys = [metaKey(username), cardKey(username)]
      const before = orNull(await scripts.publishCard.run(redis, keys, args), asString)
      if (before === null) return 'conflict'
      await enter(redis, username, capabilities)
      await this.leave(
        username,
        split(before).filter(old => !capabilities.includes(old)),
      )
      return 'published'
    })
  }

  async find(username: Username): Promise<string | null> {
    const { redis } = this.#context
    const [card, capabilities] = await settled(redis.hmget(cardKey(username), 'card', 'capabilities'))
    if (!card) return null
    await enter(redis, username, split(capabilities))
    return card
  }

  /** What a user's card names, for who takes the user away. */
  async capabilitiesOf(username: Username): Promise<string[]> {
    return split(await settled(this.#context.redis.hget(cardKey(username), 'capabilities')))
  }

  /** Out of indexes; and in again, if a card that came meanwhile names them. */
  async leave(username: Username, capabilities: readonly string[]): Promise<void> {
    if (capabilities.length === 0) return
    const { redis } = this.#context
    await settled(Promise.all(capabilities.map(capability => redis.zrem(capabilityKey(capability), username))))
    const now = await this.capabilitiesOf(username)
    await enter(
      redis,
      username,
      now.filter(capability => capabilities.includes(capability)),
    )
  }
}

/** The tags of a card as `aim:{u}:card` holds them. */
export const split = (text: string | null | undefined): string[] => (text ? text.split(' ') : [])

async function enter(redis: RedisClient, username: Username, capabilities: readonly string[]): Promise<void> {
  for (const capability of capabilities) {
    await scripts.mark.run(redis, [capabilityKey(capability)], ['index', username])
  }
}
