import { equalBytes } from '../../util/bytes.ts'
import { compareBytes } from '../encoding/compare-bytes.ts'
import { cryptoLimits } from '../limits.ts'
import type { Peer } from './peer.ts'
import { hasSid, isExpired, type Session } from './session.ts'

/** Rules 4 and 5 of docs/E2E.md section 7: which session is active, and what becomes of the others. */

/** An own session that one of the peer's may have crossed on the way. */
function mayCross({ role, status }: Session, nowMs: number): boolean {
  if (status.kind !== 'current' || role.kind === 'inbound') return false
  return role.kind === 'unanswered' || nowMs - role.answeredAtMs < cryptoLimits.crossingMs
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

/** What has to go first: what can no longer become active, then what is not active, the oldest of each. */
function leastNeeded({ sessions, active }: Peer): Session | undefined {
  const idle = sessions.filter(({ sid }) => active === null || !equalBytes(sid, active))
  return idle.find(({ status }) => status.kind !== 'current') ?? idle[0]
}

/**
 * Adds a session, without those whose time is over. At the limit the least needed one goes: the new one is
 * authenticated, and a peer that lost its state must be able to come back.
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

/** The smallest sid of `contenders` is active, the others are superseded by it, the rest become what `rest` makes of them. */
function decide(peer: Peer, contenders: readonly Session[], nowMs: number, rest: (session: Session) => Session): Peer {
  const [winner] = [...contenders].sort((a, b) => compareBytes(a.sid, b.sid))
  if (!winner) return peer
  const sessions = peer.sessions.map(session => {
    if (session === winner) return makeCurrent(session)
    return contenders.includes(session) ? supersede(session, winner.sid, nowMs) : rest(session)
  })
  return { ...peer, sessions, active: winner.sid }
}

/** Rule 4: a new session of the peer's, which is in `peer.sessions`, becomes active unless it crossed an own one. */
export function admitSession(peer: Peer, sid: Uint8Array, nowMs: number): Peer {
  const own = peer.sessions.filter(session => mayCross(session, nowMs))
  const resets = own.filter(({ opening }) => opening === 'reset')
  const inbound = peer.sessions.filter(hasSid(sid))
  if (resets.length === 0) return decide(peer, [...own, ...inbound], nowMs, session => session)
  // Our own reset wins over a plain start it crossed, because it will over there, too (rule 5).
  const lost = (session: Session) => (hasSid(sid)(session) ? supersede(session, resets[0]?.sid ?? sid, nowMs) : session)
  return decide(peer, resets, nowMs, lost)
}

/** Rule 5: the session `sid` of the peer's began with a reset. It ends all others; of two resets that cross, the smaller sid. */
export function admitReset(peer: Peer, sid: Uint8Array, nowMs: number): Peer {
  const resets = peer.sessions.filter(session => session.opening === 'reset' && mayCross(session, nowMs))
  const inbound = peer.sessions.filter(hasSid(sid))
  return decide(peer, [...resets, ...inbound], nowMs, session => retire(session, nowMs))
}

/** Rule 5 for an own session whose first content is a reset. */
export function openWithReset(peer: Peer, sid: Uint8Array, nowMs: number): Peer {
  return decide(peer, peer.sessions.filter(hasSid(sid)), nowMs, session => retire(session, nowMs))
}

/** Last success wins: receipt makes a session active, unless it was superseded or retired. */
export const activateOnReceipt = (peer: Peer, { sid, status }: Session): Peer =>
  status.kind === 'current' ? { ...peer, active: sid } : peer
