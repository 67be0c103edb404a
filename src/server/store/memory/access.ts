import type { Username } from '../../../protocol/names.ts'
import type { Rule, Writers } from '../privacy.ts'

/** The settings that decide who may write to a user: the model of `access.lua` and the scripts that use it. */
export class MemoryAccess {
  /** True if an operator blocked the name. The block outlives the user. */
  closed = false
  writers: Writers = 'anyone'
  readonly rules = new Map<Username, Rule>()

  mayWrite(from: Username): boolean {
    if (this.closed) return false
    const rule = this.rules.get(from)
    if (this.writers === 'anyone') return rule !== 'blocked'
    return rule === 'allowed' || (this.writers === 'contacts' && rule === 'contact')
  }

  setWriters(writers: Writers): void {
    this.writers = writers
    if (writers === 'contacts') return
    for (const [peer, rule] of this.rules) if (rule === 'contact') this.rules.delete(peer)
  }

  noteContact(to: Username, maxRules: number): void {
    if (this.writers !== 'contacts' || this.rules.has(to) || this.rules.size >= maxRules) return
    this.rules.set(to, 'contact')
  }

  /** Removes the user's settings when the user is deleted. An operator's block stays. */
  clear(): void {
    this.writers = 'anyone'
    this.rules.clear()
  }
}
