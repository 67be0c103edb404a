import type { Username } from '../../../protocol/names.ts'
import type { Cards, StoredCard } from '../cards.ts'
import type { MemoryBacking } from './backing.ts'

export class MemoryCards implements Cards {
  readonly #backing: MemoryBacking

  constructor(backing: MemoryBacking) {
    this.#backing = backing
  }

  async publish(username: Username, card: StoredCard | null): Promise<'published' | 'conflict'> {
    const { cards } = this.#backing
    const before = cards.get(username)
    if (card && before && card.counter < before.counter) return 'conflict'
    if (card && this.#backing.liveUser(username)) cards.set(username, card)
    else cards.delete(username)
    return 'published'
  }

  async find(username: Username): Promise<string | null> {
    return this.#backing.cards.get(username)?.text ?? null
  }
}
