import type { Static } from 'typebox'
import * as Type from 'typebox'
import type { Username } from '../../protocol/names.ts'
import { decodeBase64Url } from '../../util/bytes.ts'
import { newId } from '../base/new-id.ts'
import type { ClientContext } from '../connection/client-context.ts'
import { decodeMedia, encodeMedia, type Header } from '../messages/content.ts'
import { InboxRecord } from '../messages/message.ts'
import { queue } from '../outbox/outbox-queue.ts'
import { nextOrder } from '../records/crypto-records.ts'
import { keys } from '../records/keys.ts'
import { recordCodec } from '../state/record-codec.ts'
import type { StateReader, StateTransaction } from '../state/state-store.ts'
import type { Consequence } from './effects.ts'

/**
 * Requests and replies in the state: docs/E2E.md section 6. A request that was asked waits here for its reply, so that exactly one counts,
 * whichever process takes it in; one that came is open until it is answered, withdrawn or late.
 */

/** Messages of which each answers the one before. Beyond it two agents talk in circles, and a person should look. */
export const maxHops = 32

/** A request of ours. Kept a while after its reply, so that a second one is known as such. */
export const AskedRecord = recordCodec(
  'asked',
  Type.Object({ deadline: Type.Integer(), state: Type.Union([Type.Literal('open'), Type.Literal('answered')]) }),
)
export type AskedRecord = Static<typeof AskedRecord.schema>

/** A request of a peer's that nobody has answered. */
export const OpenRecord = recordCodec(
  'open',
  Type.Object({ inboxKey: Type.String(), deadline: Type.Integer(), hops: Type.Integer() }),
)
export type OpenRecord = Static<typeof OpenRecord.schema>

type Arrived = { from: Username; record: InboxRecord }

/** Files what belongs to a request; undefined for every other message, which is for the inbox. */
export async function fileExchange(
  tx: StateTransaction,
  context: ClientContext,
  arrived: Arrived,
): Promise<Consequence[] | undefined> {
  const { header } = decodeMedia(decodeBase64Url(arrived.record.body))
  switch (header?.kind) {
    case 'request':
      return fileRequest(tx, context, arrived, header)
    case 'part':
    case 'reply':
      return fileReply(tx, context, arrived, header)
    case 'cancel':
      return withdraw(tx, arrived.from, header.re)
    default:
      return undefined
  }
}

async function fileRequest(
  tx: StateTransaction,
  context: ClientContext,
  { from, record }: Arrived,
  { timeoutMs = 0, hops = 0 }: Header,
): Promise<Consequence[]> {
  const refusal =
    hops > maxHops ? tooManyHops : (await crosses(tx, context, from, record.id)) ? wouldDeadlock : undefined
  if (refusal) return refuse(tx, context, from, record.id, refusal)
  const inboxKey = keys.inbox(await nextOrder(tx))
  const deadline = context.now() + timeoutMs
  tx.put(inboxKey, InboxRecord.encode(record))
  tx.put(keys.open(from, record.id), OpenRecord.encode({ inboxKey, deadline, hops }))
  return [{ kind: 'arrived', from, isNew: true }]
}

export const wouldDeadlock = {
  code: 'would_deadlock',
  message: 'you wait for each other: the one you ask is waiting for your answer; answer its request first',
}
const tooManyHops = {
  code: 'hop_limit',
  message: `this is the answer to an answer, ${maxHops} times over; a person should look at it`,
}

/** Of two requests that cross, the one with the smaller id is answered and the other refused: both sides see the same. */
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
): Promise<Consequence[]> {
  // A peer whose key changed gets nothing until somebody decides.
  if ((await context.loadPeer(tx, to)).trust === 'changed') return []
  await queueReply(tx, context, to, encodeMedia('', { kind: 'reply', re, error }))
  return [{ kind: 'pump', to }]
}

export async function queueReply(
  tx: StateTransaction,
  context: ClientContext,
  to: Username,
  body: Uint8Array,
): Promise<void> {
  await queue(tx, context, to, { id: newId(context.random), kind: 'application', body })
}

/** The first reply in time counts; a second one goes, and a late one is an ordinary message. */
async function fileReply(
  tx: StateTransaction,
  context: ClientContext,
  { from, record }: Arrived,
  { kind, re = '' }: Header,
): Promise<Consequence[] | undefined> {
  const bytes = await tx.get(keys.asked(from, re))
  const asked = bytes && AskedRecord.decode(bytes)
  if (asked && isOpen(asked, context.now())) {
    tx.put(keys.answer(from, re, await nextOrder(tx)), InboxRecord.encode(record))
    if (kind === 'reply') tx.put(keys.asked(from, re), AskedRecord.encode({ ...asked, state: 'answered' }))
    return [{ kind: 'answered' }]
  }
  return kind === 'part' || asked?.state === 'answered' ? [] : undefined
}

/** A request that its sender no longer waits for is not shown any more, and whoever works on it is told. */
async function withdraw(tx: StateTransaction, from: Username, re = ''): Promise<Consequence[]> {
  const removed = await closeRequest(tx, from, re)
  return removed ? [{ kind: 'withdrawn', from, id: re, removed: removed.inboxKey }] : []
}

/** Ends an open request; answers where it stood in the inbox, if it still did. */
export async function closeRequest(
  tx: StateTransaction,
  from: Username,
  id: string,
): Promise<{ inboxKey: string | undefined; deadline: number } | undefined> {
  const bytes = await tx.get(keys.open(from, id))
  if (!bytes) return undefined
  const { inboxKey, deadline } = OpenRecord.decode(bytes)
  const stood = (await tx.get(inboxKey)) !== undefined
  tx.delete(keys.open(from, id))
  tx.delete(inboxKey)
  return { inboxKey: stood ? inboxKey : undefined, deadline }
}

/** Whether a peer waits for an answer of ours. */
export async function waitsOnUs(tx: StateReader, context: ClientContext, peer: Username): Promise<boolean> {
  const open = await tx.list(keys.openOf(peer))
  return open.some(([, bytes]) => context.now() < OpenRecord.decode(bytes).deadline)
}

/** Replies that a process asked for which is gone: once nobody can be waiting, they are ordinary messages. Answers how many. */
export async function surface(tx: StateTransaction, context: ClientContext): Promise<number> {
  let surfaced = 0
  for (const [key, bytes] of await tx.list(keys.answers())) {
    const asked = await tx.get(keys.askedFor(key))
    if (asked && context.now() < AskedRecord.decode(asked).deadline) continue
    if (await toInbox(tx, key, bytes)) surfaced += 1
  }
  return surfaced
}

/** Ends a request of ours. What came too late for whoever waited becomes a message; answers how many did. */
export async function closeAsked(tx: StateTransaction, to: Username, id: string): Promise<number> {
  const bytes = await tx.get(keys.asked(to, id))
  if (bytes && AskedRecord.decode(bytes).state === 'open') tx.delete(keys.asked(to, id))
  let surfaced = 0
  for (const [key, answer] of await tx.list(keys.answersTo(to, id))) if (await toInbox(tx, key, answer)) surfaced += 1
  return surfaced
}

async function toInbox(tx: StateTransaction, key: string, bytes: Uint8Array): Promise<boolean> {
  tx.delete(key)
  if (isPart(InboxRecord.decode(bytes))) return false
  tx.put(keys.inbox(await nextOrder(tx)), bytes)
  return true
}

export const isPart = ({ body }: InboxRecord): boolean => decodeMedia(decodeBase64Url(body)).header?.kind === 'part'
