import { equalBytes } from '../../util/bytes.ts'
import { compareBytes } from '../encoding/compare-bytes.ts'
import { CryptoError, IdentityChangedError } from '../errors.ts'
import type { IdentityKey } from '../identity-key.ts'
import { checkIdentityKey, type Self } from '../keys/identity.ts'
import type { Prekeys } from '../keys/prekeys.ts'
import { type Content, decodeContent, namedInReset } from '../messages/content.ts'
import { decodeMessage, type PrekeyMessage, type RatchetMessage } from '../messages/message.ts'
import { defaultPolicy, type Policy } from '../policy.ts'
import { type Random, wipe } from '../provider.ts'
import { respond, sessionId } from './handshake.ts'
import {
  activeSession,
  checkHandshakeRate,
  findSession,
  identityOf,
  type Peer,
  pinIdentity,
  withHandshake,
} from './peer.ts'
import { checkReplay, findPrekeys, type PrekeyUse, usePrekeys } from './prekey-use.ts'
import { decryptRatchet, keyPair, responderRatchet } from './ratchet.ts'
import type { Opening, Session } from './session.ts'
import {
  activateOnReceipt,
  addSession,
  admitReset,
  admitSession,
  replaceSession,
  withoutExpiredSessions,
} from './session-selection.ts'

export type DecryptOptions = {
  readonly self: Self
  readonly prekeys: Prekeys
  readonly policy?: Policy
  readonly nowMs: number
  readonly random: Random
  /** The sender's address according to the node. */
  readonly from: string
  readonly frameType: 'message' | 'key_exchange'
}
/**
 * The effect of a message on the sessions. A new session that is `superseded` lost against a crossing session and
 * stays readable.
 */
export type Arrival = { readonly kind: 'known' } | { readonly kind: 'new'; readonly outcome: 'active' | 'superseded' }
export type Decrypted = {
  readonly peer: Peer
  /** The same object as the argument if no prekey was used. */
  readonly prekeys: Prekeys
  readonly content: Content
  readonly sid: Uint8Array
  readonly arrival: Arrival
  /** True if the content is the first of its session, and a reset. Only such a reset counts (rule 5). */
  readonly opensWithReset: boolean
  /** True if a message that the sender encrypted later arrived first. */
  readonly isLate: boolean
}
type Opened = { readonly session: Session; readonly content: Content; readonly isLate: boolean }

const undecryptable = (): CryptoError => new CryptoError('undecryptable')

/** Returns the `opening` after a message. The initiator's first message is number 0 of its first chain. */
function openingAfter({ opening, role }: Session, message: RatchetMessage, { kind }: Content): Opening {
  const isFirst = role.kind === 'inbound' && message.header.n === 0 && message.header.pn === 0
  if (opening !== 'none' || !isFirst) return opening
  return kind === 'reset' ? 'reset' : 'content'
}

/** Decrypts without changing `session`. Every failure is the same error. */
function open(session: Session, message: RatchetMessage, options: DecryptOptions): Opened {
  const { nowMs, random, policy = defaultPolicy } = options
  const { associatedData, role } = session
  const context = { nowMs, random, lifetimeMs: policy.mailboxLifetimeMs }
  const { ratchet, plaintext, isLate } = decryptRatchet(session.ratchet, { ...message, associatedData }, context)
  const content = decode(plaintext)
  const answered = role.kind === 'unanswered' ? { kind: 'answered' as const, answeredAtMs: nowMs } : role
  const opening = openingAfter(session, message, content)
  const received = session.received + 1
  return { content, isLate, session: { ...session, ratchet, role: answered, opening, received } }
}

/** A sender's reset ends all of its earlier sessions: a message on one of those was encrypted before the reset. */
const precedesReset = (peer: Peer, session: Session): boolean => {
  const active = activeSession(peer)
  const isReset = active?.role.kind === 'inbound' && active.opening === 'reset'
  return isReset && session.status.kind === 'retired' && !mayOutliveReset(session, active)
}

/** Of two crossing resets the sender stays on the smaller sid (rule 5), even if we have left it for a third session. */
const mayOutliveReset = ({ sid, role, opening }: Session, reset: Session): boolean => {
  if (role.kind === 'inbound' || opening !== 'reset' || compareBytes(sid, reset.sid) > 0) return false
  return role.kind === 'unanswered' || role.answeredAtMs >= reset.createdAtMs
}

function decode(plaintext: Uint8Array): Content {
  try {
    return decodeContent(plaintext)
  } catch {
    throw undecryptable()
  }
}

function receiveKnown(peer: Peer, before: Session, message: RatchetMessage, options: DecryptOptions): Decrypted {
  const { nowMs, prekeys, policy = defaultPolicy } = options
  const { session, content, isLate } = open(before, message, options)
  const replaced = activateOnReceipt(replaceSession(peer, session), session)
  const opensWithReset = before.opening === 'none' && session.opening === 'reset'
  const settled = opensWithReset ? admitReset(replaced, session.sid, nowMs, namedInReset(content)) : replaced
  return {
    peer: withoutExpiredSessions(settled, nowMs, policy.mailboxLifetimeMs),
    prekeys,
    content,
    sid: session.sid,
    arrival: { kind: 'known' },
    opensWithReset,
    isLate: isLate || precedesReset(peer, before),
  }
}

/** A `key_exchange` frame must answer one of our offers. Only its recipient may answer it, before it expires. */
function checkOffer({ offer }: PrekeyUse, { from, frameType, nowMs }: DecryptOptions): void {
  if (!offer && frameType === 'key_exchange') throw undecryptable()
  if (offer && (offer.to !== from || offer.expiresAtMs <= nowMs)) throw undecryptable()
}

function checkSuite({ minSuite }: Peer, { header }: PrekeyMessage, { policy = defaultPolicy }: DecryptOptions): void {
  const isAllowed = header.suite >= minSuite && header.suite >= policy.minSuite && header.suite <= policy.maxSuite
  if (!isAllowed) throw new CryptoError('suite_refused')
}

function checkInitiator(peer: Peer, identity: Uint8Array, { self }: DecryptOptions): IdentityKey {
  if (equalBytes(identity, self.identity.publicKey)) throw undecryptable()
  const pinned = identityOf(peer)
  return pinned && equalBytes(pinned, identity) ? pinned : checkIdentityKey(identity)
}

/**
 * Called after the message has decrypted: only then has the sender shown that it has the private half of `identity`.
 * Otherwise a node could report any key as a changed key.
 */
function checkPinned(peer: Peer, identity: IdentityKey): void {
  const pinned = identityOf(peer)
  if (pinned && !equalBytes(pinned, identity)) throw new IdentityChangedError(identity)
}

function acceptSession(message: PrekeyMessage, use: PrekeyUse, options: DecryptOptions): Session {
  const { header, inner } = message
  const { self, from, nowMs } = options
  const { sharedSecret, associatedData } = respond(self, from, header, inner.sid, use.secrets)
  return {
    sid: inner.sid,
    suite: header.suite,
    associatedData,
    ratchet: responderRatchet(sharedSecret, keyPair(use.secrets.signedPrekey)),
    role: { kind: 'inbound' },
    status: { kind: 'current' },
    opening: 'none',
    createdAtMs: nowMs,
    sent: 0,
    received: 0,
  }
}

/** Opens the first message and wipes SK: it served as the first root key, and the message replaced that key. */
function openFirst(accepted: Session, message: RatchetMessage, options: DecryptOptions): Opened {
  try {
    return open(accepted, message, options)
  } finally {
    wipe(accepted.ratchet.rootKey)
  }
}

/** Runs the cheap checks first. Nothing is kept unless the message decrypts (rule 2). */
function receiveNew(peer: Peer, message: PrekeyMessage, options: DecryptOptions): Decrypted {
  const { header, inner } = message
  const { nowMs, prekeys, policy = defaultPolicy } = options
  checkSuite(peer, message, options)
  const use = findPrekeys(prekeys, header)
  checkOffer(use, options)
  checkReplay(use, inner.sid)
  checkHandshakeRate(peer, nowMs)
  const identity = checkInitiator(peer, header.identity, options)
  const { session, content } = openFirst(acceptSession(message, use, options), inner, options)
  checkPinned(peer, identity)
  const met = withHandshake({ ...pinIdentity(peer, identity), minSuite: header.suite }, nowMs)
  const added = addSession(met, session, nowMs, policy.mailboxLifetimeMs)
  const opensWithReset = session.opening === 'reset'
  const settled = opensWithReset
    ? admitReset(added, session.sid, nowMs, namedInReset(content))
    : admitSession(added, session.sid, nowMs)
  const isActive = settled.active !== null && equalBytes(settled.active, session.sid)
  return {
    peer: settled,
    prekeys: usePrekeys(prekeys, use, session.sid),
    content,
    sid: session.sid,
    arrival: { kind: 'new', outcome: isActive ? 'active' : 'superseded' },
    opensWithReset,
    isLate: false,
  }
}

function receivePrekey(peer: Peer, message: PrekeyMessage, options: DecryptOptions): Decrypted {
  const { inner, headerBytes } = message
  const known = findSession(peer, inner.sid)
  const expected = sessionId(options.self.identity.publicKey, headerBytes)
  if (!equalBytes(expected, inner.sid)) throw undecryptable()
  return known ? receiveKnown(peer, known, inner, options) : receiveNew(peer, message, options)
}

function receiveRatchet(peer: Peer, message: RatchetMessage, options: DecryptOptions): Decrypted {
  if (options.frameType !== 'message') throw new CryptoError('malformed')
  const known = findSession(peer, message.sid)
  if (!known) throw undecryptable()
  return receiveKnown(peer, known, message, options)
}

/**
 * Decrypts a body of type 01 or 02 from `peer`, the sender named by the node (docs/E2E.md section 7, rules 2 to 5).
 * The arguments do not change: save `peer`, `prekeys` and the content in one transaction, then acknowledge.
 * @throws {IdentityChangedError} if a message under a different identity key than the pinned one has decrypted.
 * @throws {CryptoError} `undecryptable` (rule 6), `malformed`, `too_large`, `suite_refused`, `rate_limited`,
 * `prekeys_exhausted`, `bad_key`
 */
export function decryptBody(peer: Peer, body: Uint8Array, options: DecryptOptions): Decrypted {
  if (options.from !== peer.address) throw undecryptable()
  const message = decodeMessage(body)
  switch (message.type) {
    case 'ratchet':
      return receiveRatchet(peer, message, options)
    case 'prekey':
      return receivePrekey(peer, message, options)
    default:
      throw new CryptoError('malformed')
  }
}
