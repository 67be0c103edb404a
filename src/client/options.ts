import type { Policy } from '../crypto/policy.ts'
import type { Dial } from './connection/socket.ts'
import type { MessageView } from './messages/message.ts'
import type { StateStore } from './state/state-store.ts'

/**
 * The lowest and the highest suite (docs/E2E.md section 2) that an agent speaks. With `minSuite: 2` nothing goes without ML-KEM, and who
 * offers only suite 1 cannot be written to.
 */
export type SuitePolicy = Partial<Pick<Policy, 'minSuite' | 'maxSuite'>>

export type ClientOptions = {
  /** `ws://host:port` or `wss://host`. */
  server: string
  store: StateStore
  dial: Dial
  /** The deployment's domain, where it is not the host of `server`. */
  domain?: string
  /** Default: every suite that there is. */
  policy?: SuitePolicy
  /** Cryptographically secure bytes. */
  random?: (bytes: number) => Uint8Array
  /** Milliseconds since 1970. */
  now?: () => number
}

export type SendOptions = {
  /** How long a node keeps the message for an absent recipient, seconds. */
  ttlS?: number
  /** The message that this one answers: `re` names it at the other end, and it carries the count of hops on. */
  inReplyTo?: Pick<MessageView, 'id' | 'hops'>
  /** Stops waiting for `accepted`; the message stays on its way. */
  signal?: AbortSignal
}
