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
import type { StateTransaction } from '../state/state-store.ts'
import { noteGivenUp } from './confirmation-record.ts'
import { holdPump } from './outbox-lease.ts'
import { isSealed, OutboxRecord, type SealedRecord } from './outbox-record.ts'
import { isWorn } from './session-renewal.ts'

/** A message as it enters the outbox. `body` is plaintext. */
export type Draft = { id: string; kind: OutboxRecord['kind']; body: Uint8Array; ttlS?: number }

/**
 * Puts a message into the outbox, encrypted at once where that keeps the order: state, plaintext and ciphertext are one
 * commit (docs/E2E.md section 9).
 * @throws {IdentityChangedError} when the peer's key awaits a decision; nothing is queued then.
 */
export async function queue(tx: StateTransaction, context: ClientContext, to: Username, draft: Draft): Promise<void> {
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
 * Puts what was encrypted elsewhere into the outbox: a reset, whose session and ciphertext are one commit. It goes before what is not
 * encrypted yet: that will be behind it in the ratchet, and a peer reports what comes in another order.
 */
export async function putSealed(
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
  arrange(tx, to, [record, ...queued.filter(waiting => !isSealed(waiting))])
}

/** Puts records into the outbox in this sequence, under the numbers that they have among them. */
function arrange(tx: StateTransaction, to: Username, records: readonly OutboxRecord[]): void {
  const orders = records.map(({ order }) => order).sort((one, other) => one - other)
  for (const [at, record] of records.entries()) {
    const order = orders[at] ?? record.order
    tx.put(keys.outbox(to, order), OutboxRecord.encode({ ...record, order }))
  }
}

/**
 * Queues again, in their order and under their ids, what a peer that started anew may have lost: everything without a
 * receipt, also what is encrypted and not accepted yet. What opens a session of its own stays as it is. Answers how many messages.
 */
export async function requeue(tx: StateTransaction, to: Username): Promise<number> {
  const entries = [...(await tx.list(keys.sentTo(to))), ...(await tx.list(keys.outboxOf(to)))]
  for (const [key] of entries) tx.delete(key)
  const records = entries.map(([, bytes]) => OutboxRecord.decode(bytes)).sort((one, other) => one.order - other.order)
  const again = records.filter(record => !startsSession(record)).map(({ sealed: _lost, ...record }) => record)
  arrange(tx, to, [...records.filter(startsSession), ...again])
  return again.filter(({ kind }) => kind === 'application').length
}

export type Window =
  /** Another process of this agent is at it until then. */
  | { kind: 'busy'; until: number }
  /** `blocked` is the first record that could not be encrypted, and what that waits for. */
  | {
      kind: 'ready'
      sealed: [key: string, SealedRecord][]
      expired: { record: OutboxRecord; error: ExpiredError }[]
      blocked: Blocked | undefined
      isWorn: boolean
    }
export type Blocked = { id: string; by: 'session' | 'announcement' }

/** The oldest records for a peer, encrypted as far as its session goes, under this process's lease on that peer's outbox. */
export async function seal(tx: StateTransaction, context: ClientContext, to: Username, size: number): Promise<Window> {
  const entries = await tx.list(keys.outboxOf(to), { limit: size })
  const busyUntil = await holdPump(tx, context, to, entries.length > 0)
  if (busyUntil !== undefined) return { kind: 'busy', until: busyUntil }
  const window: Window = { kind: 'ready', sealed: [], expired: [], blocked: undefined, isWorn: false }
  const before = await context.loadPeer(tx, to)
  let peer = before
  for (const [key, bytes] of entries) {
    const record = OutboxRecord.decode(bytes)
    if (record.expiresAt <= context.now()) {
      const error = new ExpiredError('not accepted within its ttl')
      tx.delete(key)
      if (record.kind === 'application') noteGivenUp(tx, { id: record.id, to, error, nowMs: context.now() })
      window.expired.push({ record, error })
    } else if (isSealed(record)) {
      window.sealed.push([key, record])
    } else if (window.blocked !== undefined || peer.trust === 'changed' || !hasSession(peer, context.now())) {
      window.blocked ??= { id: record.id, by: 'session' }
    } else if (!context.mayEncrypt(await nextOrder(tx))) {
      window.blocked = { id: record.id, by: 'announcement' }
    } else {
      const [next, sealed] = encrypt(context, peer, record)
      peer = next
      tx.put(key, OutboxRecord.encode(sealed))
      window.sealed.push([key, sealed])
    }
  }
  if (peer !== before) savePeer(tx, to, peer)
  return { ...window, isWorn: await isWorn(tx, context, to, peer) }
}
