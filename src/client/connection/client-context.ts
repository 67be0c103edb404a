import type { Policy } from '../../crypto/policy.ts'
import type { Random } from '../../crypto/provider.ts'
import type { Peer } from '../../crypto/session/peer.ts'
import type { Username } from '../../protocol/names.ts'
import type { Emitter } from '../../util/emitter.ts'
import { UnreadablePeerError } from '../base/errors.ts'
import type { ClientEvents } from '../base/events.ts'
import type { StateReader, StateStore } from '../state/state-store.ts'
import type { Self } from './identity.ts'
import type { Link } from './link.ts'

/** The dependencies that the parts of one client share. */
export type ClientContext = {
  readonly store: StateStore
  readonly events: Emitter<ClientEvents>
  /** Distinguishes this process from the others that use the same state. */
  readonly instance: string
  /** Aborts when the client closes. */
  readonly closing: AbortSignal
  readonly random: Random
  /** Milliseconds since 1970. */
  readonly now: () => number
  readonly policy: Policy
  /** @throws {NotRegisteredError} */
  self(): Self
  /** Reads what the state knows about a peer of this deployment. @throws {NotRegisteredError} */
  loadPeer(tx: StateReader, name: Username): Promise<Peer>
  /** Returns true if the node has recorded that this state may reach step `step`. Nothing is encrypted before that. */
  mayEncrypt(step: number): boolean
  /**
   * Returns true while the application takes its messages: then more wait at the node, and none is refused because too
   * many wait here.
   */
  isTaking(): boolean
  /** Returns a logged-in link, and waits until there is one. */
  link(): Promise<Link>
}

/** Returns what the state knows about a peer; undefined if that record is damaged. */
export async function readPeer(
  tx: StateReader,
  context: Pick<ClientContext, 'loadPeer'>,
  name: Username,
): Promise<Peer | undefined> {
  try {
    return await context.loadPeer(tx, name)
  } catch (error) {
    if (error instanceof UnreadablePeerError) return undefined
    throw error
  }
}

/**
 * Returns the link for an operation that the application asked for.
 * @throws {NotRegisteredError}
 * @throws {ClosedError} if the client is closed. Nothing is dialled then.
 */
export async function openLink(context: Pick<ClientContext, 'closing' | 'self' | 'link'>): Promise<Link> {
  context.closing.throwIfAborted()
  void context.self()
  return context.link()
}
