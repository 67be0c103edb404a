import { concatBytes } from '../../util/bytes.ts'
import { CryptoError } from '../errors.ts'
import { cryptoLimits } from '../limits.ts'
import { type Content, decodeReset, encodeContent } from '../messages/content.ts'
import { encodeRatchetMessage } from '../messages/message.ts'
import { defaultPolicy, type Policy } from '../policy.ts'
import { activeSession, type Peer } from './peer.ts'
import { encryptRatchet } from './ratchet.ts'
import { isStale, type Opening, type Session } from './session.ts'
import { openWithReset, replaceSession, withoutExpiredSessions } from './session-selection.ts'

/** Returns the `opening` after a content is sent: the first content on our own session sets it. */
function openingAfter({ opening, role }: Session, { kind }: Content): Opening {
  if (opening !== 'none' || role.kind === 'inbound') return opening
  return kind === 'reset' ? 'reset' : 'content'
}

/** Stores the time of a reset or of a renewal: each is allowed once an hour. */
function noteReset(peer: Peer, content: Content, nowMs: number): Peer {
  return decodeReset(content.body).reason === 'renewal'
    ? { ...peer, renewedAtMs: nowMs }
    : { ...peer, resetAtMs: nowMs }
}

function commit(peer: Peer, before: Session, after: Session, content: Content, nowMs: number): Peer {
  const next = replaceSession(peer, after)
  const opensWithReset = before.opening === 'none' && after.opening === 'reset'
  return opensWithReset ? openWithReset(noteReset(next, content, nowMs), after.sid, nowMs) : next
}

/**
 * Encrypts on the active session. Save the returned `peer` together with `body` before `body` leaves the process:
 * never encrypt twice from the same state.
 * @throws {CryptoError} `no_session` (start a session first), `identity_changed`, or `too_large` above 64 KiB.
 */
export function encryptContent(
  peer: Peer,
  content: Content,
  { nowMs, policy = defaultPolicy }: { nowMs: number; policy?: Policy },
): { peer: Peer; body: Uint8Array; sid: Uint8Array } {
  if (peer.trust === 'changed') throw new CryptoError('identity_changed')
  const session = activeSession(peer)
  if (!session || isStale(session, nowMs)) throw new CryptoError('no_session')
  const { sid, role, sent } = session
  const { ratchet, header, sealed } = encryptRatchet(session.ratchet, session.associatedData, encodeContent(content))
  const message = encodeRatchetMessage(sid, header, sealed)
  const body = role.kind === 'unanswered' ? concatBytes(role.prekeyHeader, message) : message
  if (body.length > cryptoLimits.maxBodyBytes) throw new CryptoError('too_large')
  const after = { ...session, ratchet, sent: sent + 1, opening: openingAfter(session, content) }
  const committed = commit(peer, session, after, content, nowMs)
  return { peer: withoutExpiredSessions(committed, nowMs, policy.mailboxLifetimeMs), body, sid }
}
