import { limits } from '../../../../protocol/limits.ts'
import type { Username } from '../../../../protocol/names.ts'
import { asWriters } from '../../privacy.ts'
import type { AppendItem } from '../../store.ts'
import { metaKey, rulesKey } from '../connection/keys.ts'
import { scripts } from '../connection/script.ts'
import { settled } from '../connection/store-error.ts'
import type { RedisContext } from '../nodes/context.ts'

/** Senders that a node remembers: some 100 bytes each, more than are connected to it. */
const maxSenders = 50_000

/** Whom a sender has written to, where it keeps contacts; `null`, where it keeps none. */
type Written = Set<Username> | null

/**
 * Notes whom users write to that let only their contacts write to them, before the message is stored, so that no answer comes too early.
 * What was noted is remembered, and so is who keeps no contacts: a message costs no call, the first one of a pair or sender does. What a
 * user decides anew is forgotten here, at other nodes within 1 s.
 */
export class RedisContacts {
  readonly #context: Pick<RedisContext, 'redis' | 'withDurability'>
  readonly #senders = new Map<Username, Written>()
  /** Who is asked about. What was asked before the user decided anew does not count. */
  readonly #asked = new Map<Username, symbol>()

  constructor(context: Pick<RedisContext, 'redis' | 'withDurability'>) {
    this.#context = context
  }

  forget(username: Username): void {
    this.#asked.delete(username)
    this.#senders.delete(username)
  }

  /** @throws {StoreUnavailableError} */
  async note(items: readonly AppendItem[]): Promise<void> {
    const senders = new Set<Username>()
    for (const { from, to } of items) if (!this.#isNoted(from, to)) senders.add(from)
    if (senders.size > 0) await Promise.all([...senders].map(from => this.#noteFrom(from, items)))
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

  /** The one that was met first goes; it costs one question to meet it again. */
  #remember(from: Username, written: Written): void {
    if (written && written.size > limits.maxRules) return
    this.#senders.set(from, written)
    const [oldest] = this.#senders.keys()
    if (this.#senders.size > maxSenders && oldest !== undefined) this.#senders.delete(oldest)
  }
}
