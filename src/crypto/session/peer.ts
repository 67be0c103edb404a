import { equalBytes } from '../../util/bytes.ts'
import { hasElapsed } from '../../util/elapsed.ts'
import { CryptoError } from '../errors.ts'
import type { IdentityKey } from '../identity-key.ts'
import { cryptoLimits } from '../limits.ts'
import { defaultPolicy, type Policy } from '../policy.ts'
import { commonSuite, type Suite } from '../suites.ts'
import { hasSid, isStale, type Session } from './session.ts'

/** How far we trust a peer's identity key. */
export type Trust = 'unknown' | 'first-use' | 'verified' | 'changed'
type Pinned = { readonly trust: 'first-use' | 'verified'; readonly identity: IdentityKey }
/** The peer presented `seen` instead of the pinned key `identity`. Nothing is sent until the user decides. */
type Changed = {
  readonly trust: 'changed'
  readonly identity: IdentityKey
  readonly before: 'first-use' | 'verified'
  readonly seen: IdentityKey
}
type Unknown = { readonly trust: 'unknown' }
type Sessions = {
  readonly address: string
  /** The highest suite ever agreed on. Lower suites are refused. */
  readonly minSuite: Suite
  /** The highest `seq` seen in a bundle of this peer. */
  readonly maxSeq: number
  /** Oldest first. */
  readonly sessions: readonly Session[]
  /** The sid of the session we send on. */
  readonly active: Uint8Array | null
  /** When the handshakes of the last hour were accepted, in ms. */
  readonly handshakes: readonly number[]
  /** When we last sent a reset, and a renewal, in ms. */
  readonly resetAtMs: number | null
  readonly renewedAtMs: number | null
}
/** The cryptographic state of one peer (docs/E2E.md section 7). Immutable. */
export type Peer = Sessions & (Unknown | Pinned | Changed)

/** Returns the state of an unknown peer. `address` is `username@domain`. */
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

/** Returns the pinned identity key. */
export const identityOf = (peer: Peer): IdentityKey | undefined =>
  peer.trust === 'unknown' ? undefined : peer.identity

/** Pins the first key seen for a peer. Keeps a key that is already pinned. */
export const pinIdentity = (peer: Peer, identity: IdentityKey): Peer =>
  peer.trust === 'unknown' ? { ...peer, trust: 'first-use', identity } : peer

/** Call it after an `IdentityChangedError`: sending stops until `trustPeer` or `dismissChange`. */
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

/** Drops all sessions, after a restore from an older copy (docs/E2E.md section 9). */
export const dropSessions = (peer: Peer): Peer => ({ ...peer, sessions: [], active: null })

/**
 * The user accepts the new key `accepted`: pins it as `first-use` and drops the sessions made with the old key.
 * @throws {CryptoError} `identity_changed` unless `accepted` is the key that waits for a decision.
 */
export function trustPeer(peer: Peer, accepted: Uint8Array): Peer {
  if (peer.trust !== 'changed' || !equalBytes(peer.seen, accepted)) throw new CryptoError('identity_changed')
  const { seen, before: _before, ...rest } = peer
  const initial = { maxSeq: 0, sessions: [], active: null, handshakes: [], resetAtMs: null, renewedAtMs: null }
  return { ...rest, ...initial, trust: 'first-use', identity: seen }
}

/** The user keeps the pinned key. */
export function dismissChange(peer: Peer): Peer {
  if (peer.trust !== 'changed') return peer
  const { seen: _seen, before, ...rest } = peer
  return { ...rest, trust: before }
}

/**
 * The user has compared the safety number, or the full key.
 * @throws {CryptoError} `identity_changed` unless `identity` is the pinned key and no changed key waits for a decision.
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

/** Returns true if there is a session to send on. Otherwise start one first (rule 1). */
export function hasSession(peer: Peer, nowMs: number): boolean {
  const session = activeSession(peer)
  return session !== undefined && !isStale(session, nowMs)
}

/** Returns true if `atMs` is less than `intervalMs` from now, in either direction: clocks may be set back. */
export const isWithin = (intervalMs: number, atMs: number | null, nowMs: number): boolean =>
  atMs !== null && Math.abs(nowMs - atMs) < intervalMs

/** Returns true if an hour has passed since the last reset and the peer's key is pinned and not in doubt (rule 6). */
export const resetAllowed = (peer: Peer, nowMs: number): boolean =>
  (peer.trust === 'first-use' || peer.trust === 'verified') &&
  !isWithin(cryptoLimits.resetIntervalMs, peer.resetAtMs, nowMs)

const hasReachedRenewalLimit = ({ createdAtMs, sent, received }: Session, nowMs: number): boolean =>
  hasElapsed(cryptoLimits.renewAfterMs, createdAtMs, nowMs) || sent + received >= cryptoLimits.renewAfterMessages

/**
 * Returns true if the active session is due for a renewal (rule 7): after 7 days or 10 000 messages, or if `offered`,
 * the suites of the peer's bundle, contain a better suite. At most once an hour, and never while it is unanswered.
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

/**
 * Returns true if the peer has sent 50 messages on one chain and we have sent nothing since that chain began. Then send
 * a content of kind `empty` (rule 8).
 */
export function needsHeartbeat(peer: Peer): boolean {
  const ratchet = activeSession(peer)?.ratchet
  return (ratchet?.receiving?.n ?? 0) >= cryptoLimits.heartbeatAfter && ratchet?.sending?.n === 0
}

/**
 * Returns true if the peer started the active session and we have not sent on it. Until we do, each of the peer's
 * messages carries the handshake.
 */
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
