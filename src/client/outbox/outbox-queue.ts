import type { Content } from '../../crypto/messages/content.ts'
import { encryptContent } from '../../crypto/session/encrypt-content.ts'
import { hasSession, type Peer } from '../../crypto/session/peer.ts'
import { limits } from '../../protocol/limits.ts'
import type { Username } from '../../protocol/names.ts'
import { decodeBase64Url, encodeBase64Url } from '../../util/bytes.ts'
import { ExpiredError, IdentityChangedError } from '../base/errors.ts'
import { newId } from '../base/new-id.ts'
import type { ClientContext } from '../connection/client-context.ts'
import { nextOrder, savePeer } from '../records/crypto-records.ts'
import { keys } from '../records/keys.ts'
import type { StateReader, StateTransaction } from '../state/state-store.ts'
import { noteGivenUp } from './confirmation-record.ts'
import { acquireOutbox } from './outbox-lease.ts'
import { isExpired, isSealed, OutboxRecord, type SealedRecord } from './outbox-record.ts'
import { SendResultRecord, toRefusal } from './send-result.ts'
import { isRenewalDue } from './session-renewal.ts'

/** A message to be put into the outbox. `body` is plaintext. */
export type Draft = { id: string; kind: OutboxRecord['kind']; body: Uint8Array; ttlS?: number }

/**
 * Puts a message into the outbox. Encrypts it at once if no message before it is still plaintext; ratchet state,
 * plaintext and ciphertext are then one commit (docs/E2E.md section 9).
 * @throws {IdentityChangedError} if the peer's key has changed and the user has not decided about it. Nothing is
 *   enqueued then.
 */
export async function enqueue(tx: StateTransaction, context: ClientContext, to: Username, draft: Draft): Promise<void> {
  const peer = await context.loadPeer(tx, to)
  if (peer.trust === 'changed') throw new IdentityChangedError(to)
  const nowMs = context.now()
  const order = await nextOrder(tx)
  const record: OutboxRecord = {
    id: draft.id,
    order,
    kind: draft.kind,
    body: encodeBase64Url(draft.body),
    sentAt: nowMs,
    expiresAt: nowMs + (draft.ttlS ?? limits.messageTtlS) * 1_000,
    ...(draft.ttlS !== undefined && { ttlS: draft.ttlS }),
  }
  const [last] = await tx.list(keys.outboxOf(to), { reverse: true, limit: 1 })
  const inOrder = last === undefined || isSealed(OutboxRecord.decode(last[1]))
  const mayEncrypt = inOrder && context.mayEncrypt(order) && hasSession(peer, nowMs)
  const [next, kept] = mayEncrypt ? encrypt(context, peer, record) : [peer, record]
  if (next !== peer) savePeer(tx, to, next)
  tx.put(keys.outbox(to, order), OutboxRecord.encode(kept))
}

const startsSession = ({ kind, frame }: OutboxRecord): boolean => kind === 'reset' || frame !== undefined

function encrypt(context: ClientContext, peer: Peer, record: OutboxRecord): [Peer, SealedRecord] {
  const content = {
    id: decodeBase64Url(record.id),
    kind: record.kind,
    sentAtMs: record.sentAt,
    body: decodeBase64Url(record.body),
  }
  const { peer: next, body } = encryptContent(peer, content, { nowMs: context.now(), policy: context.policy })
  return [next, { ...record, sealed: { frameId: newId(context.random), body: encodeBase64Url(body) } }]
}

/**
 * Puts an encrypted content into the outbox, in the transaction that saves its session. It goes before the messages
 * that are not encrypted yet: they will follow it in the ratchet, and the peer reports messages that arrive out of
 * order.
 */
export async function enqueueSealed(
  tx: StateTransaction,
  context: ClientContext,
  to: Username,
  { frame, kind, content, body }: Pick<OutboxRecord, 'frame' | 'kind'> & { content: Content; body: Uint8Array },
): Promise<void> {
  const order = await nextOrder(tx)
  const record: OutboxRecord = {
    id: encodeBase64Url(content.id),
    order,
    kind,
    ...(frame && { frame }),
    body: encodeBase64Url(content.body),
    sentAt: content.sentAtMs,
    expiresAt: content.sentAtMs + limits.messageTtlS * 1_000,
    sealed: { frameId: newId(context.random), body: encodeBase64Url(body) },
  }
  const queued = (await tx.list(keys.outboxOf(to))).map(([, bytes]) => OutboxRecord.decode(bytes))
  putInOrder(tx, to, [record, ...queued.filter(waiting => !isSealed(waiting))])
}

/** Puts records into the outbox in the given sequence, under the same set of order numbers. */
function putInOrder(tx: StateTransaction, to: Username, records: readonly OutboxRecord[]): void {
  const orders = records.map(({ order }) => order).sort((one, other) => one - other)
  for (const [at, record] of records.entries()) {
    const order = orders[at] ?? record.order
    tx.put(keys.outbox(to, order), OutboxRecord.encode({ ...record, order }))
  }
}

/**
 * Puts messages without a receipt back into the outbox, in order, under the same ids and without their ciphertext: a
 * peer with a new session may have lost them. Includes messages that are encrypted and not accepted yet. A record that
 * starts a session itself stays as it is.
 * @param chosen the accepted messages that a reset asks for; all by default
 * @returns the number of application messages
 */
export async function requeue(
  tx: StateTransaction,
  to: Username,
  chosen?: { ids: ReadonlySet<string>; nowMs: number },
): Promise<number> {
  const sent = (await tx.list(keys.sentTo(to)))
    .map(([key, bytes]) => ({ key, record: OutboxRecord.decode(bytes) }))
    .filter(({ record }) => chosen === undefined || chosen.ids.has(record.id))
    .map(({ key, record }) => ({ key, record: chosen ? { ...record, sentAgainAt: chosen.nowMs } : record }))
  const queued = (await tx.list(keys.outboxOf(to))).map(([key, bytes]) => ({ key, record: OutboxRecord.decode(bytes) }))
  for (const { key } of [...sent, ...queued]) tx.delete(key)
  const records = [...sent, ...queued].map(({ record }) => record).sort((one, other) => one.order - other.order)
  const again = records.filter(record => !startsSession(record)).map(({ sealed: _lost, ...record }) => record)
  putInOrder(tx, to, [...records.filter(startsSession), ...again])
  return again.filter(({ kind }) => kind === 'application').length
}

/** Returns the ids of the application messages to a peer that have no receipt, in order. */
export async function unconfirmedTo(tx: StateReader, to: Username): Promise<string[]> {
  const entries = [...(await tx.list(keys.sentTo(to))), ...(await tx.list(keys.outboxOf(to)))]
  const records = entries.map(([, bytes]) => OutboxRecord.decode(bytes)).sort((one, other) => one.order - other.order)
  return records.filter(({ kind }) => kind === 'application').map(({ id }) => id)
}

/**
 * Removes from the outbox what only the peer's old key could read: receipts, resets and other contents of the protocol.
 * Application messages without a receipt go back into the outbox, in order, for the new key.
 */
export async function requeueForNewKey(tx: StateTransaction, to: Username): Promise<void> {
  for (const [key, bytes] of await tx.list(keys.outboxOf(to))) {
    if (OutboxRecord.decode(bytes).kind !== 'application') tx.delete(key)
  }
  await requeue(tx, to)
}

/** Gives up every message to a peer that has no receipt, for `error`, and empties the outbox. */
export async function dropUnconfirmed(
  tx: StateTransaction,
  to: Username,
  { error, nowMs }: { error: Error; nowMs: number },
): Promise<void> {
  for (const id of await unconfirmedTo(tx, to)) {
    noteGivenUp(tx, { id, to, error, nowMs })
    tx.put(keys.sendResult(id), SendResultRecord.encode({ at: nowMs, outcome: toRefusal(error) }))
  }
  for (const prefix of [keys.sentTo(to), keys.outboxOf(to)]) {
    for (const [key] of await tx.list(prefix)) tx.delete(key)
  }
}

export type Window =
  /** Another process of this agent holds the outbox until `until`, ms since 1970. */
  | { kind: 'busy'; until: number }
  /** `blocked` is the first record that could not be encrypted; `by` is what it waits for. */
  | {
      kind: 'ready'
      sealed: [key: string, SealedRecord][]
      expired: { record: OutboxRecord; error: ExpiredError }[]
      blocked: Blocked | undefined
      isRenewalDue: boolean
    }
type Blocked = { id: string; by: 'session' | 'reservation' }

/** Acquires the outbox of a peer, and encrypts and returns its oldest records. Expired records are removed. */
export async function encryptWindow(
  tx: StateTransaction,
  context: ClientContext,
  to: Username,
  size: number,
): Promise<Window> {
  const entries = await tx.list(keys.outboxOf(to), { limit: size })
  const busyUntil = await acquireOutbox(tx, context, to, { isEmpty: entries.length === 0 })
  if (busyUntil !== undefined) return { kind: 'busy', until: busyUntil }
  const window: Window = { kind: 'ready', sealed: [], expired: [], blocked: undefined, isRenewalDue: false }
  const before = await context.loadPeer(tx, to)
  let peer = before
  for (const [key, bytes] of entries) {
    const record = OutboxRecord.decode(bytes)
    if (isExpired(record, context.now())) {
      const error = new ExpiredError('not accepted within its ttl')
      tx.delete(key)
      if (record.kind === 'application') noteGivenUp(tx, { id: record.id, to, error, nowMs: context.now() })
      window.expired.push({ record, error })
    } else if (isSealed(record)) {
      window.sealed.push([key, record])
    } else if (window.blocked !== undefined || peer.trust === 'changed' || !hasSession(peer, context.now())) {
      window.blocked ??= { id: record.id, by: 'session' }
    } else if (!context.mayEncrypt(await nextOrder(tx))) {
      window.blocked = { id: record.id, by: 'reservation' }
    } else {
      const [next, sealed] = encrypt(context, peer, record)
      peer = next
      tx.put(key, OutboxRecord.encode(sealed))
      window.sealed.push([key, sealed])
    }
  }
  if (peer !== before) savePeer(tx, to, peer)
  return { ...window, isRenewalDue: await isRenewalDue(tx, context, to, peer) }
}
