import { cryptoLimits } from './limits.ts'
import type { Suite } from './suites.ts'

/** What an agent decides for itself. */
export type Policy = {
  /** No session below this suite. */
  readonly minSuite: Suite
  /** How long the deployment keeps a message, ms: what is older cannot come any more. */
  readonly mailboxLifetimeMs: number
}

export const defaultPolicy: Policy = { minSuite: 1, mailboxLifetimeMs: cryptoLimits.mailboxLifetimeMs }
