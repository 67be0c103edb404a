import type { Static } from 'typebox'
import * as Type from 'typebox'
import { parseUsername, type Username } from '../../protocol/names.ts'
import { decodeBase64Url } from '../../util/bytes.ts'
import { newId } from '../base/new-id.ts'
import type { ClientContext } from '../connection/client-context.ts'
import { decodeMedia, encodeMedia, type Header } from '../messages/content.ts'
import { maxHops } from '../messages/hops.ts'
import { InboxRecord } from '../messages/message.ts'
import { enqueue } from '../outbox/outbox-queue.ts'
import { nextOrder } from '../records/crypto-records.ts'
import { keys } from '../records/keys.ts'
import { countRead, countUnread, countUnreadWithin } from '../shares/unread.ts'
import { recordCodec } from '../state/record-codec.ts'
import type { StateReader, StateTransaction } from '../state/state-store.ts'
import { type Effect, event } from './effects.ts'

/**
 * Requests and replies in the state: docs/E2E.md section 6. The record of an own request makes exactly one reply count,
 * whichever process receives it. A peer's request is open until it is answered or withdrawn, or its deadline has
 * passed.
 */

/**
 * An own request. Kept for a while after its reply, so that a second reply is recognised. `deadline`: ms since 1970.
 */
export const AskedRecord = recordCodec(
  'asked',
  Type.Object({ deadline: Type.Integer(), state: Type.Union([Type.Literal('open'), Type.Literal('answered')]) }),
)
export type AskedRecord = Static<typeof AskedRecord.schema>

/**
 * A peer's request without a reply. `deadline`: ms since 1970 by the local clock. `identity`: the key that it came
 * under, base64url, as in `InboxRecord`.
 */
export const OpenRecord = recordCodec(
  'open',
  Type.Object({
    inboxKey: Type.String({ pattern: '^inbox/[0-9a-f]{14}$' }),
    deadline: Type.Integer(),
    hops: Type.Integer(),
    identity: Type.Optional(Type.String()),
  }),
)
export type OpenRecord = Static<typeof OpenRecord.schema>

type Arrived = { from: Username; record: InboxRecord }

/**
 * Stores a request, part, reply or withdrawal. Returns undefined for any other message, which belongs into the inbox.
 */
export async function fileRequestMessage(
  tx: StateTransaction,
  context: ClientContext,
  arrived: Arrived,
): Promise<Effect[] | undefined> {
  const { header } = decodeMedia(decodeBase64Url(arrived.record.body))
  switch (header?.kind) {
    case 'request':
      return fileRequest(tx, context, arrived, header)
    case 'part':
    case 'reply':
      return fileReply(tx, context, arrived, header)
    case 'cancel':
      return withdraw(tx, context, arrived.from, header.re)
    default:
      return undefined
  }
}

async function fileRequest(
  tx: StateTransaction,
  context: ClientContext,
  { from, record }: Arrived,
  { timeoutMs = 0, hops = 0 }: Header,
): Promise<Effect[]> {
  const refusal =
    hops > maxHops ? tooManyHops : (await crosses(tx, context, from, record.id)) ? wouldDeadlock : undefined
  if (refusal) return refuse(tx, context, from, record.id, refusal)
  const value = InboxRecord.encode(record)
  if (!(await countUnreadWithin(tx, context.now(), { from, kind: 'requests', bytes: value.length }))) {
    const { message } = tooManyRequests
    const reported = event('not-taken', { from, id: record.id, reason: message })
    return [reported, ...(await refuse(tx, context, from, record.id, tooManyRequests))]
  }
  const inboxKey = keys.inbox(await nextOrder(tx))
  const deadline = context.now() + timeoutMs
  tx.put(inboxKey, value)
  const { identity } = record
  tx.put(
    keys.open(from, record.id),
    OpenRecord.encode({ inboxKey, deadline, hops, ...(identity !== undefined && { identity }) }),
  )
  return [{ kind: 'arrived', from, isNew: true }]
}

export const wouldDeadlock = {
  code: 'would_deadlock',
  message: 'the recipient is waiting for your answer to its own request; answer that request first',
}
const tooManyRequests = { code: 'busy', message: 'too many requests wait for an answer; ask again later' }
const tooManyHops = {
  code: 'hop_limit',
  message: `the chain of answers is longer than ${maxHops}; a person should check it`,
}

/**
 * Of two crossing requests the one with the smaller id is answered and the other refused: both sides decide the same.
 */
async function crosses(tx: StateReader, context: ClientContext, peer: Username, id: string): Promise<boolean> {
  const asked = await tx.list(keys.askedOf(peer))
  return asked.some(([key, bytes]) => isOpen(AskedRecord.decode(bytes), context.now()) && keys.asked(peer, id) > key)
}

const isOpen = ({ state, deadline }: AskedRecord, nowMs: number): boolean => state === 'open' && nowMs < deadline

async function refuse(
  tx: StateTransaction,
  context: ClientContext,
  to: Username,
  re: string,
  error: NonNullable<Header['error']>,
): Promise<Effect[]> {
  // A peer with a changed key gets nothing until the user has decided about the key.
  if ((await context.loadPeer(tx, to)).trust === 'changed') return []
  await queueReply(tx, context, to, encodeMedia('', { kind: 'reply', re, error }))
  return [{ kind: 'flush', to }]
}

export async function queueReply(
  tx: StateTransaction,
  context: ClientContext,
  to: Username,
  body: Uint8Array,
): Promise<void> {
  await enqueue(tx, context, to, { id: newId(context.random), kind: 'application', body })
}

/** The first reply in time counts. A second reply is dropped, and a late one becomes an ordinary message. */
async function fileReply(
  tx: StateTransaction,
  context: ClientContext,
  { from, record }: Arrived,
  { kind, re = '' }: Header,
): Promise<Effect[] | undefined> {
  const bytes = await tx.get(keys.asked(from, re))
  const asked = bytes && AskedRecord.decode(bytes)
  if (asked && isOpen(asked, context.now())) {
    tx.put(keys.answer(from, re, await nextOrder(tx)), InboxRecord.encode(record))
    if (kind === 'reply') tx.put(keys.asked(from, re), AskedRecord.encode({ ...asked, state: 'answered' }))
    return [{ kind: 'answered' }]
  }
  return kind === 'part' || asked?.state === 'answered' ? [] : undefined
}

/** Removes a request whose sender no longer waits for the reply; its handler is informed. */
async function withdraw(tx: StateTransaction, context: ClientContext, from: Username, re = ''): Promise<Effect[]> {
  const removed = await closeRequest(tx, from, re, context.now())
  return removed ? [{ kind: 'withdrawn', from, id: re, removed: removed.inboxKey }] : []
}

/**
 * Closes an open request. Returns its inbox key (undefined if the application has acknowledged it) and its deadline.
 */
export async function closeRequest(
  tx: StateTransaction,
  from: Username,
  id: string,
  nowMs: number,
): Promise<{ inboxKey: string | undefined; deadline: number } | undefined> {
  const bytes = await tx.get(keys.open(from, id))
  if (!bytes) return undefined
  const { inboxKey, deadline } = OpenRecord.decode(bytes)
  const value = await tx.get(inboxKey)
  tx.delete(keys.open(from, id))
  if (value) await countRead(tx, nowMs, value)
  tx.delete(inboxKey)
  return { inboxKey: value && inboxKey, deadline }
}

/** Returns true if a peer waits for a reply from this agent. */
export async function waitsOnUs(tx: StateReader, context: ClientContext, peer: Username): Promise<boolean> {
  const open = await tx.list(keys.openOf(peer))
  return open.some(([, bytes]) => context.now() < OpenRecord.decode(bytes).deadline)
}

/**
 * Moves replies into the inbox whose deadline has passed and whose process has ended without reading them.
 * @returns the number of messages moved
 */
export async function releaseLateReplies(tx: StateTransaction, context: ClientContext): Promise<number> {
  let moved = 0
  for (const [key, bytes] of await tx.list(keys.answers())) {
    const asked = await tx.get(keys.askedFor(key))
    if (asked && context.now() < AskedRecord.decode(asked).deadline) continue
    if (await moveToInbox(tx, context, key, bytes)) moved += 1
  }
  return moved
}

/**
 * Closes an own request. A reply that was stored too late for its caller becomes a message.
 * @returns the number of messages moved to the inbox
 */
export async function closeAsked(
  tx: StateTransaction,
  context: Pick<ClientContext, 'now'>,
  to: Username,
  id: string,
): Promise<number> {
  const bytes = await tx.get(keys.asked(to, id))
  if (bytes && AskedRecord.decode(bytes).state === 'open') tx.delete(keys.asked(to, id))
  let moved = 0
  for (const [key, answer] of await tx.list(keys.answersTo(to, id))) {
    if (await moveToInbox(tx, context, key, answer)) moved += 1
  }
  return moved
}

async function moveToInbox(
  tx: StateTransaction,
  { now }: Pick<ClientContext, 'now'>,
  key: string,
  bytes: Uint8Array,
): Promise<boolean> {
  tx.delete(key)
  const record = InboxRecord.decode(bytes)
  if (isPart(record)) return false
  // It answers a request of this agent, so it is stored whatever waits already.
  await countUnread(tx, now(), { from: parseUsername(record.from), kind: 'messages', bytes: bytes.length })
  tx.put(keys.inbox(await nextOrder(tx)), bytes)
  return true
}

const headerOf = ({ body }: InboxRecord): Header | undefined => decodeMedia(decodeBase64Url(body)).header

export const isPart = (record: InboxRecord): boolean => headerOf(record)?.kind === 'part'
