import type { Policy } from '../crypto/policy.ts'
import type { Dial } from './connection/socket.ts'
import type { MessageView } from './messages/message.ts'
import type { StateStore } from './state/state-store.ts'

/**
 * The lowest and the highest suite (docs/E2E.md section 2) that an agent supports. With `minSuite: 2` every session
 * uses ML-KEM, and the agent cannot exchange messages with peers that offer only suite 1.
 */
export type SuitePolicy = Partial<Pick<Policy, 'minSuite' | 'maxSuite'>>

export type ClientOptions = {
  /** `ws://host:port` or `wss://host`. */
  server: string
  store: StateStore
  dial: Dial
  /** The deployment's domain, if it differs from the host of `server`. */
  domain?: string
  /** Default: all suites. */
  policy?: SuitePolicy
  /** Returns cryptographically secure bytes. */
  random?: (bytes: number) => Uint8Array
  /** Returns the time, ms since 1970. */
  now?: () => number
}

export type SendOptions = {
  /** How long a node keeps the message for an absent recipient, s. */
  ttlS?: number
  /** The message that this one answers. The recipient sees its id as `re`; the hop count continues. */
  inReplyTo?: Pick<MessageView, 'id' | 'hops'>
  /** Called with the id of the message once the state has it, before any node does. */
  onStored?: (id: string) => void
  /** Stops the wait for `accepted`. The message is sent all the same. */
  signal?: AbortSignal
}
