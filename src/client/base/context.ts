import type { Policy } from '../../crypto/policy.ts'
import { encodeBase64Url } from '../../util/bytes.ts'
import type { Emitter } from '../../util/emitter.ts'
import type { Self } from '../connection/identity.ts'
import type { Link } from '../connection/link.ts'
import type { StateStore } from '../state/state-store.ts'
import type { ClientEvents } from './events.ts'

/** What the parts of one client share. */
export type Agent = {
  readonly store: StateStore
  readonly events: Emitter<ClientEvents>
  /** Names this process among those that use the same state. */
  readonly instance: string
  /** Aborted when the client closes. */
  readonly closing: AbortSignal
  readonly random: (bytes: number) => Uint8Array
  readonly now: () => number
  readonly policy: Policy
  /** @throws {NotRegisteredError} */
  self(): Self
  /** Whether a step of that number may encrypt: the node has it on record. */
  mayEncrypt(step: number): boolean
  /** A logged-in link, now or when there is one. */
  link(): Promise<Link>
}

/**
 * The link, for an operation of the application's.
 * @throws {NotRegisteredError} and, once the client is closed, `ClosedError`; nothing is dialled then.
 */
export async function openLink(agent: Pick<Agent, 'closing' | 'self' | 'link'>): Promise<Link> {
  agent.closing.throwIfAborted()
  void agent.self()
  return agent.link()
}

/** An id for a frame or a message: 16 random bytes, base64url. */
export const newId = (random: (bytes: number) => Uint8Array): string => encodeBase64Url(random(16))
