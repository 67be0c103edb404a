import { CryptoError } from '../../crypto/errors.ts'
import type { IdentityKey } from '../../crypto/identity-key.ts'
import { needsRotation } from '../../crypto/keys/prekeys.ts'
import { decodeReceipt, newContent } from '../../crypto/messages/content.ts'
import { decodeMessage, type OfferMessage } from '../../crypto/messages/message.ts'
import { type Decrypted, decryptBody } from '../../crypto/session/decrypt-body.ts'
import { encryptContent } from '../../crypto/session/encrypt-content.ts'
import { acceptOffer, awaitAnswer, dropOffer, findOffer } from '../../crypto/session/offer.ts'
import {
  checkHandshakeRate,
  findSession,
  identityOf,
  needsAnswer,
  needsHeartbeat,
  type Peer,
  withHandshake,
} from '../../crypto/session/peer.ts'
import type { Username } from '../../protocol/names.ts'
import { encodeBase64Url, equalBytes } from '../../util/bytes.ts'
import { UnreadablePeerError } from '../base/errors.ts'
import type { ClientContext } from '../connection/client-context.ts'
import { InboxRecord } from '../messages/message.ts'
import { noteConfirmed } from '../outbox/confirmation-record.ts'
import { enqueue, enqueueSealed } from '../outbox/outbox-queue.ts'
import { isSealed, OutboxRecord } from '../outbox/outbox-record.ts'
import { loadPrekeys, nextOrder, savePeer, savePrekeys } from '../records/crypto-records.ts'
import { encodeInteger } from '../records/integer-record.ts'
import { keys } from '../records/keys.ts'
import { leaveQuarantine } from '../shares/quarantine-index.ts'
import { countUnread, countUnreadWithin } from '../shares/unread.ts'
import type { StateTransaction } from '../state/state-store.ts'
import { type Effect, event } from './effects.ts'
import { type Envelope, type Push, toEnvelope } from './envelope.ts'
import { limitOtherKeys } from './other-key-limit.ts'
import { noteReceipt } from './receipts.ts'
import { applyReset } from './received-reset.ts'
import { refuseMessage } from './refusals.ts'
import { fileRequestMessage } from './request-records.ts'
import { quarantine, retriable } from './undecryptable.ts'

/**
 * Decrypts one envelope and stores its content, inside the caller's transaction. Never throws because of what the
 * envelope contains: such a body is quarantined and reported, and the rest of the inbox is processed.
 */
export async function processEnvelope(tx: StateTransaction, context: ClientContext, frame: Push): Promise<Effect[]> {
  const envelope = open(context, frame)
  if (!envelope) {
    const reason = 'the node names a sender that is not a valid name'
    return [event('undecryptable', { from: '', reason, remedy: 'none' })]
  }
  if (await tx.get(keys.body(envelope.hash))) return []
  try {
    return await processOnce(tx, context, envelope)
  } catch (error) {
    return quarantine(tx, context, envelope, asRefusal(error))
  }
}

/**
 * Returns the reason to quarantine a body. An error of a check that the cryptography lacks must not stop the inbox.
 * @throws an error that is not about the body: of the state, or of the store
 */
function asRefusal(error: unknown): CryptoError | UnreadablePeerError {
  if (error instanceof CryptoError || error instanceof UnreadablePeerError) return error
  if (error instanceof RangeError || error instanceof TypeError) return new CryptoError('malformed')
  throw error
}

/** Retries the quarantined bodies of a peer whose reason may have passed. */
export async function retryUndecryptable(
  tx: StateTransaction,
  context: ClientContext,
  from: Username,
): Promise<Effect[]> {
  const all: Effect[] = []
  for (const { key, record, hash } of await retriable(tx, context, from)) {
    const envelope = toEnvelope({ from, body: record.body, type: record.frameType }, context.self().domain)
    try {
      all.push(...(await processOnce(tx, context, envelope)), event('recovered', { from, aside: hash }))
      await leaveQuarantine(tx, key)
    } catch (error) {
      const refusal = asRefusal(error)
      if (refusal.code === record.code) continue
      // The same bytes now fail for another reason, which has another remedy.
      await leaveQuarantine(tx, key)
      all.push(...(await quarantine(tx, context, envelope, refusal, record)))
    }
  }
  return all
}

async function processOnce(tx: StateTransaction, context: ClientContext, envelope: Envelope): Promise<Effect[]> {
  const effects = await dispatch(tx, context, envelope)
  tx.put(keys.body(envelope.hash), encodeInteger(context.now()))
  return effects
}

function open(context: ClientContext, frame: Push): Envelope | undefined {
  try {
    return toEnvelope(frame, context.self().domain)
  } catch {
    return undefined
  }
}

/**
 * docs/E2E.md section 12: `key_exchange` frames carry offers and their answers, `message` frames all other contents.
 */
function dispatch(tx: StateTransaction, context: ClientContext, envelope: Envelope): Promise<Effect[]> {
  const message = decodeMessage(envelope.body)
  if (message.type === 'ratchet' || message.type === 'prekey') return decrypt(tx, context, envelope)
  if (envelope.frameType !== 'key_exchange') throw new CryptoError('malformed')
  return message.type === 'offer'
    ? answerOffer(tx, context, envelope, message)
    : declined(tx, envelope, message.offerId)
}

async function decrypt(tx: StateTransaction, context: ClientContext, envelope: Envelope): Promise<Effect[]> {
  const { from, address, frameType, body } = envelope
  const self = context.self()
  const prekeys = await loadPrekeys(tx)
  const before = await context.loadPeer(tx, from)
  const { policy, random } = context
  const nowMs = context.now()
  await limitOtherKeys(tx, from, { peer: before, body, nowMs })
  const options = { self, prekeys, policy, from: address, frameType, nowMs, random }
  const decrypted = decryptBody(before, body, options)
  savePeer(tx, from, decrypted.peer)
  if (decrypted.prekeys !== prekeys) savePrekeys(tx, decrypted.prekeys)
  const { content, arrival, isLate } = decrypted
  const effects = await accept(tx, context, { from, identity: identityOf(decrypted.peer) }, decrypted)
  if (isLate) effects.push(event('reordered', { from, id: encodeBase64Url(content.id) }))
  if (arrival.kind === 'new')
    effects.push({ kind: 'flush', to: from }, event('session', { peer: from, initiated: false }))
  const answered = prekeys.offers.find(offer => !decrypted.prekeys.offers.includes(offer))
  if (answered) effects.push({ kind: 'offer-answered', offerId: answered.offerId })
  if (decrypted.prekeys !== prekeys && needsRotation(decrypted.prekeys, context.now())) {
    effects.push({ kind: 'rotate' })
  }
  if (answersReset(before, decrypted)) effects.push(event('repaired', { peer: from }))
  if (answered) return [...effects, ...(await confirmOffer(tx, context, from, decrypted))]
  return [...effects, ...(await answer(tx, context, from, decrypted))]
}

/** Returns true for the first answer on a session that we opened with a reset: the peer now resends its messages. */
function answersReset(before: Peer, { sid }: Decrypted): boolean {
  const session = findSession(before, sid)
  return session?.opening === 'reset' && session.role.kind === 'unanswered'
}

type Content = ReturnType<typeof newContent>
/** The sender of a decrypted content, and the identity key of the session that it came on. */
type Sender = { from: Username; identity: IdentityKey | undefined }

async function accept(
  tx: StateTransaction,
  context: ClientContext,
  sender: Sender,
  decrypted: Decrypted,
): Promise<Effect[]> {
  const { from } = sender
  const { content } = decrypted
  switch (content.kind) {
    case 'application':
      return store(tx, context, sender, content)
    case 'receipt':
      return applyReceipt(tx, context, from, content.body)
    case 'reset':
      return applyReset(tx, context, from, decrypted)
    case 'empty':
      return []
    default:
      // A kind of a later version: the application decides what to do with it.
      return store(tx, context, sender, content)
  }
}

/** Drops repeats by (sender, `msg_id`). A repeat gets a receipt again, because the first receipt may have been lost. */
async function store(
  tx: StateTransaction,
  context: ClientContext,
  { from, identity }: Sender,
  content: Content,
): Promise<Effect[]> {
  const id = encodeBase64Url(content.id)
  const isNew = !(await tx.get(keys.seen(from, id)))
  if (!isNew) {
    noteReceipt(tx, from, id, 'delivered')
    return [{ kind: 'arrived', from, isNew }]
  }
  const receivedAt = context.now()
  const isPlain = content.kind === 'application'
  const record: InboxRecord = {
    id,
    from,
    body: encodeBase64Url(content.body),
    sentAt: content.sentAtMs,
    receivedAt,
    ...(identity && { identity: encodeBase64Url(identity) }),
  }
  const filed = isPlain ? await fileRequestMessage(tx, context, { from, record }) : undefined
  const value = InboxRecord.encode(isPlain ? record : { ...record, contentKind: content.kind })
  // Without a receipt and without a trace here: the sender may send it again.
  if (!filed && !(await mayWait(tx, context, { from, value }))) return refuseMessage(tx, context, { from, record })
  noteReceipt(tx, from, id, 'delivered')
  tx.put(keys.seen(from, id), encodeInteger(receivedAt))
  if (filed) return [{ kind: 'arrived', from, isNew: false }, ...filed]
  tx.put(keys.inbox(await nextOrder(tx)), value)
  return [{ kind: 'arrived', from, isNew }]
}

/** While the application takes its messages, the client waits for it instead. */
async function mayWait(
  tx: StateTransaction,
  context: ClientContext,
  { from, value }: { from: Username; value: Uint8Array },
): Promise<boolean> {
  const item = { from, kind: 'messages', bytes: value.length } as const
  if (!context.isTaking()) return countUnreadWithin(tx, context.now(), item)
  await countUnread(tx, context.now(), item)
  return true
}

async function applyReceipt(
  tx: StateTransaction,
  context: ClientContext,
  from: Username,
  body: Uint8Array,
): Promise<Effect[]> {
  const receipt = decodeReceipt(body)
  const ids = receipt.ids.map(encodeBase64Url)
  const confirmed = await noteConfirmed(tx, { ids, from, state: receipt.state, nowMs: context.now() })
  return confirmed.map(id => event(receipt.state, { id, to: from }))
}

/**
 * Sends an empty content if the ratchet must turn (docs/E2E.md section 7, rule 8), or if a peer's new session has no
 * answer yet: until then each of the peer's messages carries the handshake. An application message needs none, because
 * its receipt is an answer too.
 */
async function answer(
  tx: StateTransaction,
  context: ClientContext,
  to: Username,
  { peer, content }: Decrypted,
): Promise<Effect[]> {
  const isWanted = needsHeartbeat(peer) || (needsAnswer(peer) && content.kind !== 'application')
  if (!isWanted || peer.trust === 'changed') return []
  // A message that waits to be encrypted will be the answer.
  const [last] = await tx.list(keys.outboxOf(to), { reverse: true, limit: 1 })
  if (last && !isSealed(OutboxRecord.decode(last[1]))) return []
  const id = encodeBase64Url(context.random(16))
  await enqueue(tx, context, to, { id, kind: 'empty', body: new Uint8Array() })
  return [{ kind: 'flush', to }]
}

/**
 * Answers on the session that the peer started from our offer: only then does the peer send on it. It is encrypted at
 * once, because an older session may become the active one meanwhile.
 */
async function confirmOffer(
  tx: StateTransaction,
  context: ClientContext,
  to: Username,
  { peer, sid }: Decrypted,
): Promise<Effect[]> {
  if (peer.trust === 'changed' || peer.active === null || !equalBytes(peer.active, sid)) return []
  const { random, policy } = context
  const nowMs = context.now()
  const content = newContent('empty', new Uint8Array(), { nowMs, random })
  const encrypted = encryptContent(peer, content, { nowMs, policy })
  savePeer(tx, to, encrypted.peer)
  await enqueueSealed(tx, context, to, { kind: 'empty', content, body: encrypted.body })
  return [{ kind: 'flush', to }]
}

/** Accepts an offer: sends an empty content on the session that it starts, in a `key_exchange` frame. */
async function answerOffer(
  tx: StateTransaction,
  context: ClientContext,
  { from, address }: Envelope,
  offer: OfferMessage,
): Promise<Effect[]> {
  const self = context.self()
  const nowMs = context.now()
  // An offer carries no message, and its sender waits no longer.
  if (offer.expiresAtS * 1_000 <= nowMs) return []
  const { random, policy } = context
  const before = await context.loadPeer(tx, from)
  const prekeys = await loadPrekeys(tx)
  checkHandshakeRate(before, nowMs)
  const accepted = acceptOffer(withHandshake(before, nowMs), offer, { self, prekeys, policy, nowMs, random })
  if (accepted.outcome === 'wait') return []
  const content = newContent('empty', new Uint8Array(), { nowMs, random })
  const { peer, body } = encryptContent(accepted.peer, content, { nowMs, policy })
  savePeer(tx, from, awaitAnswer(before, peer, nowMs))
  await enqueueSealed(tx, context, from, { kind: 'empty', frame: 'key_exchange', content, body })
  // If our own offer to this peer crossed, the peer waits for this answer and sends none: both have the session.
  const crossed = prekeys.offers.filter(({ to }) => to === address)
  const done = crossed.map(({ offerId }): Effect => ({ kind: 'offer-answered', offerId }))
  return [...done, { kind: 'flush', to: from }, event('session', { peer: from, initiated: true })]
}

async function declined(tx: StateTransaction, { from, address }: Envelope, offerId: Uint8Array): Promise<Effect[]> {
  const prekeys = await loadPrekeys(tx)
  if (!findOffer(prekeys, offerId, address)) throw new CryptoError('undecryptable')
  savePrekeys(tx, dropOffer(prekeys, offerId))
  return [{ kind: 'offer-declined', offerId, from }]
}
