import { cryptoLimits } from './limits.ts'
import { type Suite, suites } from './suites.ts'

/** Settings of one agent. */
export type Policy = {
  /** The lowest suite a session may use. */
  readonly minSuite: Suite
  /** The highest suite a session may use and a bundle offers. */
  readonly maxSuite: Suite
  /** How long the deployment keeps a message, in ms. Older messages can no longer arrive. */
  readonly mailboxLifetimeMs: number
}

export const defaultPolicy: Policy = { minSuite: 1, maxSuite: 2, mailboxLifetimeMs: cryptoLimits.mailboxLifetimeMs }

/** Returns the suites that our bundle offers, highest first. */
export const offeredSuites = ({ minSuite, maxSuite }: Policy): Suite[] =>
  suites.filter(suite => suite >= minSuite && suite <= maxSuite)
