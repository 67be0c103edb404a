import { cryptoLimits } from './limits.ts'
import { type Suite, suites } from './suites.ts'

/** What an agent decides for itself. */
export type Policy = {
  /** No session below this suite. */
  readonly minSuite: Suite
  /** No session above it, and none above it is offered. */
  readonly maxSuite: Suite
  /** How long the deployment keeps a message, ms: what is older cannot come any more. */
  readonly mailboxLifetimeMs: number
}

export const defaultPolicy: Policy = { minSuite: 1, maxSuite: 2, mailboxLifetimeMs: cryptoLimits.mailboxLifetimeMs }

/** What a bundle offers, highest first. */
export const offeredSuites = ({ minSuite, maxSuite }: Policy): Suite[] =>
  suites.filter(suite => suite >= minSuite && suite <= maxSuite)
