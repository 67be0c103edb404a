import { limits } from '../../../protocol/limits.ts'
import type { Username } from '../../../protocol/names.ts'
import { type ListedRules, type Privacy, type RulePage, toRulePage, type Writers } from '../privacy.ts'
import type { MemoryBacking } from './backing.ts'

export class MemoryPrivacy implements Privacy {
  readonly #backing: MemoryBacking

  constructor(backing: MemoryBacking) {
    this.#backing = backing
  }

  async readWriters(username: Username): Promise<Writers> {
    return this.#backing.access(username).writers
  }

  async setWriters(username: Username, writers: Writers): Promise<void> {
    if (this.#backing.liveUser(username)) this.#backing.access(username).setWriters(writers)
  }

  async setRule(username: Username, peer: Username, rule: 'allowed' | 'blocked' | null): Promise<'set' | 'full'> {
    if (!this.#backing.liveUser(username)) return 'set'
    const { rules } = this.#backing.access(username)
    if (rule === null) rules.delete(peer)
    else if (!rules.has(peer) && rules.size >= limits.maxRules) return 'full'
    else rules.set(peer, rule)
    return 'set'
  }

  async listRules(username: Username, page: RulePage): Promise<ListedRules> {
    const rules = [...this.#backing.access(username).rules].map(([peer, rule]) => ({ username: peer, rule }))
    return toRulePage(rules, page)
  }
}
