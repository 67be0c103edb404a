import { equalBytes } from '../../util/bytes.ts'
import { cryptoLimits } from '../limits.ts'
import type { Suite } from '../suites.ts'
import type { Ratchet } from './ratchet.ts'

/** Who started a session, and whether the other side has it. */
export type Role =
  /** Ours; each message carries the prekey header until the peer has answered. */
  | { readonly kind: 'unanswered'; readonly prekeyHeader: Uint8Array }
  /** Ours, and the peer has it. */
  | { readonly kind: 'answered'; readonly answeredAtMs: number }
  /** The peer's. */
  | { readonly kind: 'inbound' }
/** Whether a session may become active. One that may not stays readable for the mailbox lifetime. */
export type SessionStatus =
  | { readonly kind: 'current' }
  /** Lost against `by` in a crossing. */
  | { readonly kind: 'superseded'; readonly by: Uint8Array; readonly sinceMs: number }
  /** Ended by a reset or a renewal. */
  | { readonly kind: 'retired'; readonly sinceMs: number }
/** What the initiator's first content was, as far as it is known. */
export type Opening = 'none' | 'content' | 'reset'

/** One session with a peer (docs/E2E.md section 7). Never changed in place. */
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

/** An own session nobody answered in 30 days. */
export const isStale = ({ role, createdAtMs }: Session, nowMs: number): boolean =>
  role.kind === 'unanswered' && nowMs - createdAtMs >= cryptoLimits.unansweredMs

export const isExpired = ({ status }: Session, nowMs: number, lifetimeMs: number): boolean =>
  status.kind !== 'current' && nowMs - status.sinceMs > lifetimeMs
