import { equalBytes } from '../../util/bytes.ts'
import { hasElapsed } from '../../util/elapsed.ts'
import { cryptoLimits } from '../limits.ts'
import type { Suite } from '../suites.ts'
import type { Ratchet } from './ratchet.ts'

/** Which side started a session, and whether the peer has answered it. */
export type Role =
  /** We started it. Each message carries the prekey header until the peer answers. */
  | { readonly kind: 'unanswered'; readonly prekeyHeader: Uint8Array }
  /** We started it, and the peer has answered. */
  | { readonly kind: 'answered'; readonly answeredAtMs: number }
  /** The peer started it. */
  | { readonly kind: 'inbound' }
/** A `current` session may become active. Any other stays readable for the mailbox lifetime. */
export type SessionStatus =
  | { readonly kind: 'current' }
  /** Lost against the crossing session `by`. */
  | { readonly kind: 'superseded'; readonly by: Uint8Array; readonly sinceMs: number }
  /** Ended by a reset or a renewal. */
  | { readonly kind: 'retired'; readonly sinceMs: number }
/** The kind of the initiator's first content; `none` until it is known. */
export type Opening = 'none' | 'content' | 'reset'

/** One session with a peer (docs/E2E.md section 7). Immutable. */
export type Session = {
  readonly sid: Uint8Array
  readonly suite: Suite
  readonly associatedData: Uint8Array
  readonly ratchet: Ratchet
  readonly role: Role
  readonly status: SessionStatus
  readonly opening: Opening
  readonly createdAtMs: number
  readonly sent: number
  readonly received: number
}

export const hasSid =
  (sid: Uint8Array) =>
  (session: Session): boolean =>
    equalBytes(session.sid, sid)

/** Returns true for one of our own sessions that the peer has not answered in 30 days. */
export const isStale = ({ role, createdAtMs }: Session, nowMs: number): boolean =>
  role.kind === 'unanswered' && hasElapsed(cryptoLimits.unansweredMs, createdAtMs, nowMs)

export const isExpired = ({ status }: Session, nowMs: number, lifetimeMs: number): boolean =>
  status.kind !== 'current' && nowMs - status.sinceMs > lifetimeMs
