import type { Username } from '../../../../protocol/names.ts'
import type { Cards, StoredCard } from '../../cards.ts'
import { capabilityKey, cardKey, metaKey } from '../connection/keys.ts'
import type { RedisClient } from '../connection/redis-client.ts'
import { asString, orNull } from '../connection/reply.ts'
import { scripts } from '../connection/script.ts'
import { settled } from '../connection/store-error.ts'
import type { RedisContext } from '../nodes/context.ts'

/**
 * Cards, and the indexes of their capabilities. The indexes are in other slots, so they are written after the card and
 * repaired on reads: a listing removes an entry whose card does not list the capability, and reading a card adds its
 * entries again.
 */
export class RedisCards implements Cards {
  readonly #context: RedisContext

  constructor(context: RedisContext) {
    this.#context = context
  }

  async publish(username: Username, card: StoredCard | null): Promise<'published' | 'conflict'> {
    const capabilities = card?.capabilities ?? []
    const args = [card?.text ?? '', card?.counter ?? 0, capabilities.join(' ')]
    if (card) await this.#context.stored.checkGrowth(username)
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

  /** Returns the capabilities on a user's card, for a deletion of the user. */
  async capabilitiesOf(username: Username): Promise<string[]> {
    return split(await settled(this.#context.redis.hget(cardKey(username), 'capabilities')))
  }

  /** Removes the user from indexes, and adds it again if a card published meanwhile lists the capability. */
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

/** Splits the capabilities of a card as stored in `aim:{u}:card`. */
export const split = (text: string | null | undefined): string[] => (text ? text.split(' ') : [])

async function enter(redis: RedisClient, username: Username, capabilities: readonly string[]): Promise<void> {
  for (const capability of capabilities) {
    await scripts.mark.run(redis, [capabilityKey(capability)], ['index', username])
  }
}
