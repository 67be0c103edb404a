import { limits } from '../../../../protocol/limits.ts'
import { parseUsername, type Username } from '../../../../protocol/names.ts'
import {
  asWriters,
  type ListedRules,
  type Privacy,
  type Rule,
  type RulePage,
  toRulePage,
  type Writers,
} from '../../privacy.ts'
import { metaKey, rulesKey } from '../connection/keys.ts'
import type { RedisClient } from '../connection/redis-client.ts'
import { scripts } from '../connection/script.ts'
import { settled } from '../connection/store-error.ts'
import type { BroadcastStream } from '../nodes/broadcast-stream.ts'
import type { RedisContext } from '../nodes/context.ts'
import type { RedisContacts } from './contacts.ts'

/** The users' settings. Appends read the field `access` of `meta`, which is derived from these settings. */
export class RedisPrivacy implements Privacy {
  readonly #context: RedisContext
  readonly #broadcasts: BroadcastStream
  readonly #contacts: RedisContacts

  constructor(context: RedisContext, broadcasts: BroadcastStream, contacts: RedisContacts) {
    this.#context = context
    this.#broadcasts = broadcasts
    this.#contacts = contacts
  }

  async readWriters(username: Username): Promise<Writers> {
    return asWriters(await settled(this.#context.redis.hget(metaKey(username), 'writers')))
  }

  async setWriters(username: Username, writers: Writers): Promise<void> {
    await this.#change(username, redis => scripts.setWriters.run(redis, keysOf(username), [writers]))
  }

  async setRule(username: Username, peer: Username, rule: 'allowed' | 'blocked' | null): Promise<'set' | 'full'> {
    const { stored } = this.#context
    const args = [peer, rule ?? '', limits.maxRules]
    if (rule !== null) await stored.checkGrowth(username)
    const script = rule === null ? scripts.removeRule : scripts.setRule
    const outcome = await this.#change(username, redis => script.run(redis, keysOf(username), args))
    if (outcome === 'added') await stored.changeOwn(username, limits.peerBytes)
    if (outcome === 'removed') await stored.changeOwn(username, -limits.peerBytes)
    return outcome === 'full' ? outcome : 'set'
  }

  async listRules(username: Username, page: RulePage): Promise<ListedRules> {
    const rules = await settled(this.#context.redis.hgetall(rulesKey(username)))
    const known = Object.entries(rules).map(([name, rule]) => ({ username: parseUsername(name), rule: asRule(rule) }))
    return toRulePage(known, page)
  }

  /** Runs a change, then clears the user's cached contacts: here at once, on other nodes through a broadcast. */
  async #change(username: Username, work: (redis: RedisClient) => Promise<unknown>): Promise<unknown> {
    const outcome = await this.#context.withDurability(async redis => {
      const done = await work(redis)
      if (done !== 'same' && done !== 'full') await this.#broadcasts.broadcast(redis, 'writers', username)
      return done
    })
    this.#contacts.forget(username)
    return outcome
  }
}

const keysOf = (username: Username): string[] => [metaKey(username), rulesKey(username)]

const asRule = (text: string): Rule => (text === 'allowed' || text === 'blocked' ? text : 'contact')
