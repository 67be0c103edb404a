import { CryptoError } from '../../crypto/errors.ts'
import { needsRotation } from '../../crypto/keys/prekeys.ts'
import { decodeReceipt, decodeReset, newContent } from '../../crypto/messages/content.ts'
import { decodeMessage, type OfferMessage } from '../../crypto/messages/message.ts'
import { type Decrypted, decryptBody } from '../../crypto/session/decrypt-body.ts'
import { encryptContent } from '../../crypto/session/encrypt-content.ts'
import { acceptOffer, dropOffer, findOffer } from '../../crypto/session/offer.ts'
import {
  checkHandshakeRate,
  findSession,
  needsAnswer,
  needsHeartbeat,
  type Peer,
  withHandshake,
} from '../../crypto/session/peer.ts'
import type { Username } from '../../protocol/names.ts'
import { encodeBase64Url } from '../../util/bytes.ts'
import type { ClientContext } from '../connection/client-context.ts'
import { InboxRecord } from '../messages/message.ts'
import { noteConfirmed } from '../outbox/confirmation-record.ts'
import { putSealed, queue, requeue } from '../outbox/outbox-queue.ts'
import { isSealed, OutboxRecord } from '../outbox/outbox-record.ts'
import { loadPrekeys, nextOrder, savePeer, savePrekeys } from '../records/crypto-records.ts'
import { encodeInteger } from '../records/integer-record.ts'
import { keys } from '../records/keys.ts'
import type { StateTransaction } from '../state/state-store.ts'
import { type Consequence, event } from './effects.ts'
import { type Envelope, type Push, toEnvelope } from './envelope.ts'
import { noteReceipt } from './receipts.ts'
import { fileExchange } from './request-records.ts'
import { retriable, setAside } from './undecryptable.ts'

/**
 * One envelope, inside the transaction that saves whatever comes of it. It never throws for what is in the envelope: that
 * is set aside and reported, and the rest of the inbox flows on.
 */
export async function takeIn(tx: StateTransaction, context: ClientContext, frame: Push): Promise<Consequence[]> {
  const envelope = open(context, frame)
  if (!envelope) {
    const reason = 'the node names a sender that cannot be'
    return [event('undecryptable', { from: frame.from, reason, remedy: 'none' })]
  }
  if (await tx.get(keys.body(envelope.hash))) return []
  try {
    return await take(tx, context, envelope)
  } catch (error) {
    if (error instanceof CryptoError) return setAside(tx, context, envelope, error)
    throw error
  }
}

/** Tries once more what was set aside of a peer for a reason that may have passed. */
export async function takeInAgain(
  tx: StateTransaction,
  context: ClientContext,
  from: Username,
): Promise<Consequence[]> {
  const all: Consequence[] = []
  for (const { key, record, hash } of await retriable(tx, from)) {
    const envelope = toEnvelope({ from, body: record.body, type: record.frameType }, context.self().domain)
    try {
      all.push(...(await take(tx, context, envelope)), event('recovered', { from, aside: hash }))
      tx.delete(key)
    } catch (error) {
      if (!(error instanceof CryptoError)) throw error
      if (error.code === record.code) continue
      // The same bytes fail for another reason now, and what helps against that is another thing.
      tx.delete(key)
      all.push(...(await setAside(tx, context, envelope, error)))
    }
  }
  return all
}

async function take(tx: StateTransaction, context: ClientContext, envelope: Envelope): Promise<Consequence[]> {
  const consequences = await dispatch(tx, context, envelope)
  tx.put(keys.body(envelope.hash), encodeInteger(context.now()))
  return consequences
}

function open(context: ClientContext, frame: Push): Envelope | undefined {
  try {
    return toEnvelope(frame, context.self().domain)
  } catch {
    return undefined
  }
}

/** docs/E2E.md section 12: `key_exchange` frames carry offers and what answers them, `message` frames the rest. */
function dispatch(tx: StateTransaction, context: ClientContext, envelope: Envelope): Promise<Consequence[]> {
  const message = decodeMessage(envelope.body)
  if (message.type === 'ratchet' || message.type === 'prekey') return decrypt(tx, context, envelope)
  if (envelope.frameType !== 'key_exchange') throw new CryptoError('malformed')
  return message.type === 'offer'
    ? answerOffer(tx, context, envelope, message)
    : declined(tx, envelope, message.offerId)
}

async function decrypt(tx: StateTransaction, context: ClientContext, envelope: Envelope): Promise<Consequence[]> {
  const { from, address, frameType, body } = envelope
  const self = context.self()
  const prekeys = await loadPrekeys(tx)
  const before = await context.loadPeer(tx, from)
  const { policy, random } = context
  const options = { self, prekeys, policy, from: address, frameType, nowMs: context.now(), random }
  const decrypted = decryptBody(before, body, options)
  savePeer(tx, from, decrypted.peer)
  if (decrypted.prekeys !== prekeys) savePrekeys(tx, decrypted.prekeys)
  const { content, arrival, isLate } = decrypted
  const consequences = await accept(tx, context, from, content)
  if (isLate) consequences.push(event('reordered', { from, id: encodeBase64Url(content.id) }))
  if (arrival.kind === 'new')
    consequences.push({ kind: 'pump', to: from }, event('session', { peer: from, initiated: false }))
  const answered = prekeys.offers.find(offer => !decrypted.prekeys.offers.includes(offer))
  if (answered) consequences.push({ kind: 'offer-answered', offerId: answered.offerId })
  if (decrypted.prekeys !== prekeys && needsRotation(decrypted.prekeys, context.now())) {
    consequences.push({ kind: 'rotate' })
  }
  if (answersReset(before, decrypted)) consequences.push(event('repaired', { peer: from }))
  return [...consequences, ...(await answer(tx, context, from, decrypted))]
}

/** The first answer on a session that we opened with a reset: the peer knows, and sends again what it still has. */
function answersReset(before: Peer, { sid }: Decrypted): boolean {
  const session = findSession(before, sid)
  return session?.opening === 'reset' && session.role.kind === 'unanswered'
}

type Content = ReturnType<typeof newContent>

async function accept(
  tx: StateTransaction,
  context: ClientContext,
  from: Username,
  content: Content,
): Promise<Consequence[]> {
  switch (content.kind) {
    case 'application':
      return keep(tx, context, from, content)
    case 'receipt':
      return receipt(tx, context, from, content.body)
    case 'reset':
      return reset(tx, from, content.body)
    case 'empty':
      return []
    default:
      // What it means is not known here, and is for the application to say.
      return keep(tx, context, from, content)
  }
}

/** Repeats are dropped by (sender, `msg_id`); their receipt is given again, for it may be what was lost. */
async function keep(
  tx: StateTransaction,
  context: ClientContext,
  from: Username,
  content: Content,
): Promise<Consequence[]> {
  const id = encodeBase64Url(content.id)
  noteReceipt(tx, from, id, 'delivered')
  const isNew = !(await tx.get(keys.seen(from, id)))
  if (!isNew) return [{ kind: 'arrived', from, isNew }]
  const receivedAt = context.now()
  tx.put(keys.seen(from, id), encodeInteger(receivedAt))
  const isPlain = content.kind === 'application'
  const record: InboxRecord = { id, from, body: encodeBase64Url(content.body), sentAt: content.sentAtMs, receivedAt }
  const filed = isPlain ? await fileExchange(tx, context, { from, record }) : undefined
  if (filed) return [{ kind: 'arrived', from, isNew: false }, ...filed]
  const kept = isPlain ? record : { ...record, contentKind: content.kind }
  tx.put(keys.inbox(await nextOrder(tx)), InboxRecord.encode(kept))
  return [{ kind: 'arrived', from, isNew }]
}

async function receipt(
  tx: StateTransaction,
  context: ClientContext,
  from: Username,
  body: Uint8Array,
): Promise<Consequence[]> {
  const { state, ids } = decodeReceipt(body)
  const consequences: Consequence[] = []
  for (const bytes of ids) {
    const id = encodeBase64Url(bytes)
    await noteConfirmed(tx, { id, from, state, nowMs: context.now() })
    tx.delete(keys.sent(from, id))
    consequences.push(event(state, { id, to: from }))
  }
  return consequences
}

async function reset(tx: StateTransaction, from: Username, body: Uint8Array): Promise<Consequence[]> {
  const { reason } = decodeReset(body)
  const resent = reason === 'renewal' ? 0 : await requeue(tx, from)
  return [{ kind: 'pump', to: from }, event('peer-reset', { peer: from, reason, resent })]
}

/**
 * An empty content where the ratchet has to turn (docs/E2E.md section 7, rule 8), or where a peer's new session wants an answer: until then each
 * of its messages carries the handshake. A message gets a receipt, which answers, too.
 */
async function answer(
  tx: StateTransaction,
  context: ClientContext,
  to: Username,
  { peer, content }: Decrypted,
): Promise<Consequence[]> {
  const isWanted = needsHeartbeat(peer) || (needsAnswer(peer) && content.kind !== 'application')
  if (!isWanted || peer.trust === 'changed') return []
  // Whatever is encrypted next will do.
  const [last] = await tx.list(keys.outboxOf(to), { reverse: true, limit: 1 })
  if (last && !isSealed(OutboxRecord.decode(last[1]))) return []
  const id = encodeBase64Url(context.random(16))
  await queue(tx, context, to, { id, kind: 'empty', body: new Uint8Array() })
  return [{ kind: 'pump', to }]
}

/** Answers with an empty content on the session that the offer starts, in a `key_exchange` frame. */
async function answerOffer(
  tx: StateTransaction,
  context: ClientContext,
  { from, address }: Envelope,
  offer: OfferMessage,
): Promise<Consequence[]> {
  const self = context.self()
  const nowMs = context.now()
  // It held no message, and whoever made it waits no longer.
  if (offer.expiresAtS * 1_000 <= nowMs) return []
  const { random, policy } = context
  const before = await context.loadPeer(tx, from)
  const prekeys = await loadPrekeys(tx)
  checkHandshakeRate(before, nowMs)
  const accepted = acceptOffer(withHandshake(before, nowMs), offer, { self, prekeys, policy, nowMs, random })
  if (accepted.outcome === 'wait') return []
  const content = newContent('empty', new Uint8Array(), { nowMs, random })
  const { peer, body } = encryptContent(accepted.peer, content, { nowMs, policy })
  savePeer(tx, from, peer)
  await putSealed(tx, context, from, { kind: 'empty', frame: 'key_exchange', content, body })
  // The peer of an offer that crosses this one waits for this answer and gives none: what both wanted is there.
  const crossed = prekeys.offers.filter(({ to }) => to === address)
  const done = crossed.map(({ offerId }): Consequence => ({ kind: 'offer-answered', offerId }))
  return [...done, { kind: 'pump', to: from }, event('session', { peer: from, initiated: true })]
}

async function declined(
  tx: StateTransaction,
  { from, address }: Envelope,
  offerId: Uint8Array,
): Promise<Consequence[]> {
  const prekeys = await loadPrekeys(tx)
  if (!findOffer(prekeys, offerId, address)) throw new CryptoError('undecryptable')
  savePrekeys(tx, dropOffer(prekeys, offerId))
  return [{ kind: 'offer-declined', offerId, from }]
}
