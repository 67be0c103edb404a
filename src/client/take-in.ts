import { decodeReceipt, decodeReset, newContent } from '../crypto/content.ts'
import { decryptBody } from '../crypto/decrypt-body.ts'
import { encryptContent } from '../crypto/encrypt-content.ts'
import { CryptoError, IdentityChangedError } from '../crypto/errors.ts'
import { decodeMessage, type OfferMessage } from '../crypto/message.ts'
import { acceptOffer, dropOffer, findOffer } from '../crypto/offer.ts'
import {
  checkHandshakeRate,
  markChanged,
  needsHeartbeat,
  type Peer,
  resetAllowed,
  withHandshake,
} from '../crypto/peer.ts'
import { sha256 } from '../crypto/primitives.ts'
import { type Address, formatAddress, parseUsername, type Username } from '../protocol/names.ts'
import { decodeBase64Url, encodeBase64Url, encodeUtf8, toHex } from '../util/bytes.ts'
import type { Emitter } from '../util/emitter.ts'
import type { Agent } from './agent.ts'
import type { ClientEvents } from './events.ts'
import { InboxRecord } from './inbox.ts'
import type { Push } from './intake.ts'
import { noteReceipt } from './receipts.ts'
import { keys } from './record-keys.ts'
import { putSealed, queue, requeue } from './seal.ts'
import type { StateTransaction } from './state/state-store.ts'
import { loadPeer, loadPrekeys, nextOrder, savePeer, savePrekeys } from './vault.ts'

/** What is left to do once an envelope is on disk. */
export type Consequence =
  | { kind: 'arrived'; from: Username; isNew: boolean }
  | { kind: 'pump'; to: Username }
  | { kind: 'offer-answered'; offerId: Uint8Array }
  | { kind: 'offer-declined'; offerId: Uint8Array; from: Username }
  | { kind: 'repair'; peer: Username }
  | { kind: 'event'; emit: (events: Emitter<ClientEvents>) => void }

/** Bodies set aside that are kept for a look; beyond it the one with the smallest hash goes, which nobody can aim at. */
const maxAside = 200

type Envelope = { from: Username; address: Address; frameType: Push['type']; body: Uint8Array; hash: string }

/**
 * One envelope, inside the transaction that saves whatever comes of it. It never throws for what is in the envelope: that
 * is set aside and reported, and the rest of the inbox flows on.
 */
export async function takeIn(tx: StateTransaction, agent: Agent, frame: Push): Promise<Consequence[]> {
  const envelope = open(agent, frame)
  if (!envelope) return []
  if (await tx.get(keys.body(envelope.hash))) return []
  try {
    const consequences = await dispatch(tx, agent, envelope)
    tx.put(keys.body(envelope.hash), encodeUtf8(String(agent.now())))
    return consequences
  } catch (error) {
    if (error instanceof CryptoError) return setAside(tx, agent, envelope, error)
    throw error
  }
}

function open(agent: Agent, { from, body, type }: Push): Envelope | undefined {
  const username = senderOf(from)
  if (!username) {
    agent.events.emit('undecryptable', { from: from as Username, reason: 'the node names a sender that cannot be' })
    return undefined
  }
  const bytes = bytesOf(body)
  const hash = toHex(sha256(bytes).subarray(0, 16))
  return { from: username, address: formatAddress(username, agent.self().domain), frameType: type, body: bytes, hash }
}

function senderOf(from: string): Username | undefined {
  try {
    return parseUsername(from)
  } catch {
    return undefined
  }
}

/** What is no base64url is kept as it came, and refused like any other body that is none. */
function bytesOf(body: string): Uint8Array {
  try {
    return decodeBase64Url(body)
  } catch {
    return encodeUtf8(body)
  }
}

/** docs/E2E.md section 12: `key_exchange` frames carry offers and what answers them, `message` frames the rest. */
function dispatch(tx: StateTransaction, agent: Agent, envelope: Envelope): Promise<Consequence[]> {
  const message = decodeMessage(envelope.body)
  if (message.type === 'ratchet' || message.type === 'prekey') return decrypt(tx, agent, envelope)
  if (envelope.frameType !== 'key_exchange') throw new CryptoError('malformed')
  return message.type === 'offer' ? answerOffer(tx, agent, envelope, message) : declined(tx, envelope, message.offerId)
}

async function decrypt(tx: StateTransaction, agent: Agent, envelope: Envelope): Promise<Consequence[]> {
  const { from, address, frameType, body } = envelope
  const self = agent.self()
  const prekeys = await loadPrekeys(tx)
  const before = await loadPeer(tx, from, self.domain)
  const options = { self, prekeys, from: address, frameType, nowMs: agent.now(), random: agent.random }
  const decrypted = decryptBody(before, body, options)
  savePeer(tx, from, decrypted.peer)
  if (decrypted.prekeys !== prekeys) savePrekeys(tx, decrypted.prekeys)
  const { content, arrival } = decrypted
  const consequences = await accept(tx, from, content)
  if (arrival.kind === 'new')
    consequences.push({ kind: 'pump', to: from }, event('session', { peer: from, initiated: false }))
  const answered = prekeys.offers.find(offer => !decrypted.prekeys.offers.includes(offer))
  if (answered) consequences.push({ kind: 'offer-answered', offerId: answered.offerId })
  return [...consequences, ...(await heartbeat(tx, agent, from, decrypted.peer))]
}

type Content = ReturnType<typeof newContent>

async function accept(tx: StateTransaction, from: Username, content: Content): Promise<Consequence[]> {
  switch (content.kind) {
    case 'application':
      return keep(tx, from, content)
    case 'receipt':
      return receipt(tx, from, content.body)
    case 'reset':
      return reset(tx, from, content.body)
    case 'empty':
      return []
    default:
      return [event('undecryptable', { from, reason: `content of kind ${content.kind} is not known here` })]
  }
}

/** Repeats are dropped by (sender, `msg_id`); their receipt is given again, for it may be what was lost. */
async function keep(tx: StateTransaction, from: Username, content: Content): Promise<Consequence[]> {
  const id = encodeBase64Url(content.id)
  noteReceipt(tx, from, id, 'delivered')
  const isNew = !(await tx.get(keys.seen(from, id)))
  if (isNew) {
    tx.put(keys.seen(from, id), new Uint8Array())
    const record = { id, from, body: encodeBase64Url(content.body), sentAt: content.sentAtMs }
    tx.put(keys.inbox(await nextOrder(tx)), InboxRecord.encode(record))
  }
  return [{ kind: 'arrived', from, isNew }]
}

async function receipt(tx: StateTransaction, from: Username, body: Uint8Array): Promise<Consequence[]> {
  const { state, ids } = decodeReceipt(body)
  const consequences: Consequence[] = []
  for (const bytes of ids) {
    const id = encodeBase64Url(bytes)
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

/** docs/E2E.md section 7, rule 8. */
async function heartbeat(tx: StateTransaction, agent: Agent, to: Username, peer: Peer): Promise<Consequence[]> {
  if (!needsHeartbeat(peer)) return []
  const id = encodeBase64Url(agent.random(16))
  await queue(tx, agent, to, { id, kind: 'empty', body: new Uint8Array() })
  return [{ kind: 'pump', to }]
}

/** Answers with an empty content on the session that the offer starts, in a `key_exchange` frame. */
async function answerOffer(
  tx: StateTransaction,
  agent: Agent,
  { from, address }: Envelope,
  offer: OfferMessage,
): Promise<Consequence[]> {
  const self = agent.self()
  const nowMs = agent.now()
  const { random } = agent
  const before = await loadPeer(tx, from, self.domain)
  const prekeys = await loadPrekeys(tx)
  checkHandshakeRate(before, nowMs)
  const accepted = acceptOffer(withHandshake(before, nowMs), offer, { self, prekeys, nowMs, random })
  if (accepted.outcome === 'wait') return []
  const content = newContent('empty', new Uint8Array(), { nowMs, random })
  const { peer, body } = encryptContent(accepted.peer, content, { nowMs })
  savePeer(tx, from, peer)
  await putSealed(tx, agent, from, { kind: 'empty', frame: 'key_exchange', content, body })
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

/** What cannot be read never disappears silently: it is kept for a look, reported, and repaired where that is allowed. */
async function setAside(
  tx: StateTransaction,
  agent: Agent,
  { from, body, hash }: Envelope,
  error: CryptoError,
): Promise<Consequence[]> {
  if (await tx.get(keys.aside(hash))) return []
  const kept = await tx.list(keys.asides(), { limit: maxAside })
  const [other] = kept
  if (other && kept.length === maxAside) tx.delete(other[0])
  tx.put(keys.aside(hash), body)
  const consequences: Consequence[] = [event('undecryptable', { from, reason: error.message })]
  const peer = await loadPeer(tx, from, agent.self().domain)
  if (error instanceof IdentityChangedError) {
    savePeer(tx, from, markChanged(peer, error.seen))
    return [...consequences, event('key-changed', { peer: from })]
  }
  const lost = error.code === 'undecryptable' || error.code === 'malformed'
  const repairable = lost && resetAllowed(peer, agent.now())
  return repairable ? [...consequences, { kind: 'repair', peer: from }] : consequences
}

const event = <Name extends keyof ClientEvents>(name: Name, value: ClientEvents[Name]): Consequence => ({
  kind: 'event',
  emit: events => events.emit(name, value),
})
