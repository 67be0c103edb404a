import { limits } from '../../../../protocol/limits.ts'
import type { Username } from '../../../../protocol/names.ts'
import { RecentMap } from '../../../../util/recent-map.ts'
import { asWriters } from '../../privacy.ts'
import type { AppendItem } from '../../store.ts'
import { knownKey, metaKey, rulesKey } from '../connection/keys.ts'
import { asNumber } from '../connection/reply.ts'
import { scripts } from '../connection/script.ts'
import { settled } from '../connection/store-error.ts'
import type { RedisContext } from '../nodes/context.ts'

/** Most senders in the cache, more than a node has connections; about 100 bytes each. */
const maxSenders = 50_000

/** Most pairs in the cache of known peers. */
const maxPairs = 100_000

const known = {}

type Context = Pick<RedisContext, 'redis' | 'withDurability' | 'stored'>

/** The recipients recorded for a sender; `null` if the sender's setting does not need contacts. */
type Written = Set<Username> | null

/**
 * Records the recipients of users whose `writers` setting is `contacts`. It does so before the message is stored, so
 * that a reply cannot arrive too early. The cache remembers recorded pairs and senders without contacts, so that only
 * the first message of a pair or sender costs a call. A change of the setting clears the sender's entry here at once,
 * and on other nodes within 1 s.
 */
export class RedisContacts {
  readonly #context: Context
  readonly #senders = new Map<Username, Written>()
  readonly #knownPairs = new RecentMap<string, object>(maxPairs)
  /** Lookups in progress. A lookup that began before a change of the setting is not cached. */
  readonly #asked = new Map<Username, symbol>()

  constructor(context: Context) {
    this.#context = context
  }

  forget(username: Username): void {
    this.#asked.delete(username)
    this.#senders.delete(username)
  }

  forgetAll(): void {
    this.#asked.clear()
    this.#senders.clear()
  }

  /** @throws {StoreUnavailableError} */
  async note(items: readonly AppendItem[]): Promise<void> {
    const senders = new Set<Username>()
    for (const { from, to } of items) if (!this.#isNoted(from, to)) senders.add(from)
    if (senders.size > 0) await Promise.all([...senders].map(from => this.#noteFrom(from, items)))
  }

  /**
   * Records that the senders wrote to the recipients. While memory is scarce, these may write to them; without the
   * record they wait. So nothing waits for this call, and its failure is no error.
   */
  noteKnown(items: readonly AppendItem[], isStored: (at: number) => boolean): void {
    const fresh = new Map<Username, Set<Username>>()
    let before: AppendItem | undefined
    for (const [at, item] of items.entries()) {
      if (!isStored(at)) continue
      const { from, to } = item
      // Most items of a batch follow another one of their pair.
      const isNoted = from === before?.from && to === before.to
      before = item
      if (isNoted) continue
      const pair = `${from} ${to}`
      if (this.#knownPairs.peek(pair)) continue
      this.#knownPairs.take(pair, () => known)
      fresh.set(from, (fresh.get(from) ?? new Set()).add(to))
    }
    for (const [from, peers] of fresh) {
      this.#writeKnown(from, [...peers]).catch(() => {
        for (const to of peers) this.#knownPairs.delete(`${from} ${to}`)
      })
    }
  }

  async #writeKnown(from: Username, peers: readonly Username[]): Promise<void> {
    const { redis, stored } = this.#context
    const keys = [metaKey(from), knownKey(from)]
    const grown = asNumber(await scripts.noteKnown.run(redis, keys, [limits.maxKnownPeers, ...peers]))
    await stored.changeOwn(from, grown * limits.peerBytes)
  }

  #isNoted(from: Username, to: Username): boolean {
    const written = this.#senders.get(from)
    return written === null || (written?.has(to) ?? false)
  }

  async #noteFrom(from: Username, items: readonly AppendItem[]): Promise<void> {
    const { withDurability } = this.#context
    const asked = Symbol(from)
    this.#asked.set(from, asked)
    const written = this.#senders.get(from) ?? (await this.#ask(from))
    if (written) {
      const fresh = [...new Set(items.flatMap(item => (item.from === from ? [item.to] : [])))]
      const keys = [metaKey(from), rulesKey(from)]
      await withDurability(kept => scripts.noteContacts.run(kept, keys, [limits.maxRules, ...fresh]))
      for (const to of fresh) written.add(to)
    }
    if (this.#asked.get(from) !== asked) return
    this.#asked.delete(from)
    this.#remember(from, written)
  }

  async #ask(from: Username): Promise<Written> {
    const writers = await settled(this.#context.redis.hget(metaKey(from), 'writers'))
    return asWriters(writers) === 'contacts' ? new Set() : null
  }

  /** Evicts the oldest entry; a miss costs one Redis read. */
  #remember(from: Username, written: Written): void {
    if (written && written.size > limits.maxRules) return
    this.#senders.set(from, written)
    const [oldest] = this.#senders.keys()
    if (this.#senders.size > maxSenders && oldest !== undefined) this.#senders.delete(oldest)
  }
}
