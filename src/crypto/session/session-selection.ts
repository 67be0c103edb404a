import { equalBytes } from '../../util/bytes.ts'
import { hasElapsed } from '../../util/elapsed.ts'
import { compareBytes } from '../encoding/compare-bytes.ts'
import { cryptoLimits } from '../limits.ts'
import type { Peer } from './peer.ts'
import { hasSid, isExpired, type Session } from './session.ts'

/** Rules 4 and 5 of docs/E2E.md section 7: selects the active session and sets the status of the others. */

/** Returns true for one of our own sessions that a session of the peer may have crossed. */
function mayCross({ role, status }: Session, nowMs: number): boolean {
  if (status.kind !== 'current' || role.kind === 'inbound') return false
  return role.kind === 'unanswered' || !hasElapsed(cryptoLimits.crossingMs, role.answeredAtMs, nowMs)
}

const supersede = (session: Session, by: Uint8Array, sinceMs: number): Session => ({
  ...session,
  status: { kind: 'superseded', by, sinceMs },
})

const retire = (session: Session, sinceMs: number): Session =>
  session.status.kind === 'current' ? { ...session, status: { kind: 'retired', sinceMs } } : session

const makeCurrent = (session: Session): Session => ({ ...session, status: { kind: 'current' } })

export const replaceSession = (peer: Peer, session: Session): Peer => ({
  ...peer,
  sessions: peer.sessions.map(old => (equalBytes(old.sid, session.sid) ? session : old)),
})

/** Returns the session to drop: the oldest that cannot become active, else the oldest that is not active. */
function leastNeeded({ sessions, active }: Peer): Session | undefined {
  const idle = sessions.filter(({ sid }) => active === null || !equalBytes(sid, active))
  return idle.find(({ status }) => status.kind !== 'current') ?? idle[0]
}

/**
 * Adds a session and drops expired ones. At the limit, drops the least needed session: the new session is
 * authenticated, and a peer that lost its state must be able to start again.
 */
export function addSession(peer: Peer, session: Session, nowMs: number, lifetimeMs: number): Peer {
  const kept = withoutExpiredSessions(peer, nowMs, lifetimeMs)
  const full = kept.sessions.length >= cryptoLimits.maxSessionsPerPeer
  const dropped = full ? leastNeeded(kept) : undefined
  return { ...kept, sessions: [...kept.sessions.filter(old => old !== dropped), session] }
}

export function withoutExpiredSessions(peer: Peer, nowMs: number, lifetimeMs: number): Peer {
  const sessions = peer.sessions.filter(session => !isExpired(session, nowMs, lifetimeMs))
  return sessions.length === peer.sessions.length ? peer : { ...peer, sessions }
}

/** Makes the smallest sid of `contenders` active, supersedes the other contenders, and maps all others with `rest`. */
function activateSmallest(
  peer: Peer,
  contenders: readonly Session[],
  nowMs: number,
  rest: (session: Session) => Session,
): Peer {
  const [winner] = [...contenders].sort((a, b) => compareBytes(a.sid, b.sid))
  if (!winner) return peer
  const sessions = peer.sessions.map(session => {
    if (session === winner) return makeCurrent(session)
    return contenders.includes(session) ? supersede(session, winner.sid, nowMs) : rest(session)
  })
  return { ...peer, sessions, active: winner.sid }
}

/** Rule 4: activates the peer's new session `sid`, which is in `peer.sessions`, unless it crossed one of ours. */
export function admitSession(peer: Peer, sid: Uint8Array, nowMs: number): Peer {
  const own = peer.sessions.filter(session => mayCross(session, nowMs))
  const resets = own.filter(({ opening }) => opening === 'reset')
  const inbound = peer.sessions.filter(hasSid(sid))
  if (resets.length === 0) return activateSmallest(peer, [...own, ...inbound], nowMs, session => session)
  // Our own reset wins over a plain start that it crossed, because the peer decides the same (rule 5).
  const lost = (session: Session) => (hasSid(sid)(session) ? supersede(session, resets[0]?.sid ?? sid, nowMs) : session)
  return activateSmallest(peer, resets, nowMs, lost)
}

/**
 * Rule 5: the peer's session `sid` began with a reset and retires all others. Of two, the smaller sid wins.
 * @param unreadable the sids that the reset names: the peer cannot read those sessions, so they never win
 */
export function admitReset(peer: Peer, sid: Uint8Array, nowMs: number, unreadable: readonly Uint8Array[] = []): Peer {
  const isReadable = (session: Session) => !unreadable.some(named => equalBytes(named, session.sid))
  const resets = peer.sessions.filter(
    session => session.opening === 'reset' && mayCross(session, nowMs) && isReadable(session),
  )
  const inbound = peer.sessions.filter(hasSid(sid))
  return activateSmallest(peer, [...resets, ...inbound], nowMs, session => retire(session, nowMs))
}

/** Rule 5 for one of our own sessions whose first content is a reset. */
export function openWithReset(peer: Peer, sid: Uint8Array, nowMs: number): Peer {
  return activateSmallest(peer, peer.sessions.filter(hasSid(sid)), nowMs, session => retire(session, nowMs))
}

/** A decrypted message makes its session active, unless that session is superseded or retired. */
export const activateOnReceipt = (peer: Peer, { sid, status }: Session): Peer =>
  status.kind === 'current' ? { ...peer, active: sid } : peer
