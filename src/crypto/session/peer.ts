import { equalBytes } from '../../util/bytes.ts'
import { CryptoError } from '../errors.ts'
import type { IdentityKey } from '../identity-key.ts'
import { cryptoLimits } from '../limits.ts'
import { defaultPolicy, type Policy } from '../policy.ts'
import { commonSuite, type Suite } from '../suites.ts'
import { hasSid, isStale, type Session } from './session.ts'

/** How sure we are of a peer's identity key. */
export type Trust = 'unknown' | 'first-use' | 'verified' | 'changed'
type Pinned = { readonly trust: 'first-use' | 'verified'; readonly identity: IdentityKey }
/** Another key was `seen` than the pinned one, `identity`; nothing is sent until the user decides. */
type Changed = {
  readonly trust: 'changed'
  readonly identity: IdentityKey
  readonly before: 'first-use' | 'verified'
  readonly seen: IdentityKey
}
type Unknown = { readonly trust: 'unknown' }
type Sessions = {
  readonly address: string
  /** The best suite ever agreed on; nothing below it is accepted again. */
  readonly minSuite: Suite
  /** The highest `seq` of a bundle seen. */
  readonly maxSeq: number
  /** Oldest first. */
  readonly sessions: readonly Session[]
  /** The session we send on. */
  readonly active: Uint8Array | null
  /** When the handshakes of the last hour were accepted, ms. */
  readonly handshakes: readonly number[]
  /** When we last sent a reset, and a renewal. */
  readonly resetAtMs: number | null
  readonly renewedAtMs: number | null
}
/** Everything cryptographic about one peer (docs/E2E.md section 7). Never changed in place. */
export type Peer = Sessions & (Unknown | Pinned | Changed)

/** A peer nothing is known of. `address` is `username@domain`. */
export const newPeer = (address: string): Peer => ({
  trust: 'unknown',
  address,
  minSuite: 1,
  maxSeq: 0,
  sessions: [],
  active: null,
  handshakes: [],
  resetAtMs: null,
  renewedAtMs: null,
})

/** The pinned identity key. */
export const identityOf = (peer: Peer): IdentityKey | undefined =>
  peer.trust === 'unknown' ? undefined : peer.identity

/** Pins the key a peer is met with first. One that is pinned stays. */
export const pinIdentity = (peer: Peer, identity: IdentityKey): Peer =>
  peer.trust === 'unknown' ? { ...peer, trust: 'first-use', identity } : peer

/** After an `IdentityChangedError`: stops sending until `trustPeer` or `dismissChange`. */
export function markChanged(peer: Peer, seen: IdentityKey): Peer {
  switch (peer.trust) {
    case 'unknown':
      return peer
    case 'changed':
      return { ...peer, seen }
    default:
      return { ...peer, trust: 'changed', before: peer.trust, seen }
  }
}

/** Without its sessions, for a restore from an older copy (docs/E2E.md section 9). */
export const dropSessions = (peer: Peer): Peer => ({ ...peer, sessions: [], active: null })

/** The user accepts the new key: it is pinned as first met, and the sessions with the old one go. */
export function trustPeer(peer: Peer): Peer {
  if (peer.trust !== 'changed') return peer
  const { seen, before: _before, ...rest } = peer
  const anew = { maxSeq: 0, sessions: [], active: null, handshakes: [], resetAtMs: null, renewedAtMs: null }
  return { ...rest, ...anew, trust: 'first-use', identity: seen }
}

/** The user stays with the pinned key. */
export function dismissChange(peer: Peer): Peer {
  if (peer.trust !== 'changed') return peer
  const { seen: _seen, before, ...rest } = peer
  return { ...rest, trust: before }
}

/**
 * The user has compared the safety number, or the full key.
 * @throws {CryptoError} `identity_changed` unless `identity` is the pinned key and no other one waits for a decision.
 */
export function markVerified(peer: Peer, identity: Uint8Array): Peer {
  if (peer.trust === 'unknown' || peer.trust === 'changed' || !equalBytes(peer.identity, identity)) {
    throw new CryptoError('identity_changed')
  }
  return { ...peer, trust: 'verified' }
}

export const findSession = (peer: Peer, sid: Uint8Array): Session | undefined => peer.sessions.find(hasSid(sid))

export const activeSession = ({ sessions, active }: Peer): Session | undefined =>
  active === null ? undefined : sessions.find(hasSid(active))

/** Whether there is a session to send on. If not, one has to be started first (rule 1). */
export function hasSession(peer: Peer, nowMs: number): boolean {
  const session = activeSession(peer)
  return session !== undefined && !isStale(session, nowMs)
}

/** A clock that was set back must not make a limit last for ever. */
export const isWithin = (intervalMs: number, atMs: number | null, nowMs: number): boolean =>
  atMs !== null && Math.abs(nowMs - atMs) < intervalMs

/** Whether the hour since the last reset has passed, and the peer is one we know (rule 6). */
export const resetAllowed = (peer: Peer, nowMs: number): boolean =>
  (peer.trust === 'first-use' || peer.trust === 'verified') &&
  !isWithin(cryptoLimits.resetIntervalMs, peer.resetAtMs, nowMs)

const hasReachedRenewalLimit = ({ createdAtMs, sent, received }: Session, nowMs: number): boolean =>
  nowMs - createdAtMs >= cryptoLimits.renewAfterMs || sent + received >= cryptoLimits.renewAfterMessages

/**
 * Whether the active session is due for a renewal (rule 7): after 7 days or 10 000 messages, and when the suites of a
 * bundle of the peer's, `offered`, have a better one. At most once an hour, and never while it is unanswered.
 */
export function needsRenewal(
  peer: Peer,
  nowMs: number,
  offered: readonly number[] = [],
  { maxSuite }: Pick<Policy, 'maxSuite'> = defaultPolicy,
): boolean {
  const session = activeSession(peer)
  if (!session || session.role.kind === 'unanswered') return false
  if (isWithin(cryptoLimits.resetIntervalMs, peer.renewedAtMs, nowMs)) return false
  const { suite } = session
  return hasReachedRenewalLimit(session, nowMs) || (commonSuite(offered, { minSuite: suite, maxSuite }) ?? 0) > suite
}

/** Whether the peer has sent 50 messages on one chain and nothing was sent since it began: send kind `empty` (rule 8). */
export function needsHeartbeat(peer: Peer): boolean {
  const ratchet = activeSession(peer)?.ratchet
  return (ratchet?.receiving?.n ?? 0) >= cryptoLimits.heartbeatAfter && ratchet?.sending?.n === 0
}

/** Whether the active session is the peer's and was never answered: until then each of its messages carries the handshake. */
export function needsAnswer(peer: Peer): boolean {
  const session = activeSession(peer)
  return session?.role.kind === 'inbound' && session.sent === 0
}

/** @throws {CryptoError} `rate_limited` above 3 handshakes a minute or 10 an hour (docs/E2E.md section 10). */
export function checkHandshakeRate({ handshakes }: Peer, nowMs: number): void {
  const { maxHandshakesPerHour, maxHandshakesPerMinute, hourMs, minuteMs } = cryptoLimits
  const within = (intervalMs: number) => handshakes.filter(atMs => isWithin(intervalMs, atMs, nowMs)).length
  if (within(hourMs) >= maxHandshakesPerHour || within(minuteMs) >= maxHandshakesPerMinute) {
    throw new CryptoError('rate_limited')
  }
}

export const withHandshake = (peer: Peer, nowMs: number): Peer => ({
  ...peer,
  handshakes: [...peer.handshakes.filter(atMs => isWithin(cryptoLimits.hourMs, atMs, nowMs)), nowMs],
})
