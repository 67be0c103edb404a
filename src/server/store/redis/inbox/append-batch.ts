import { hash } from 'node:crypto'
import { limits } from '../../../../protocol/limits.ts'
import type { Username } from '../../../../protocol/names.ts'
import type { NodeId } from '../../ids.ts'
import {
  type AppendItem,
  type AppendResult,
  type Envelope,
  fullRetryS,
  type Notice,
  StoreUnavailableError,
} from '../../store.ts'
import { inboxKey, knownKey, metaKey, rulesKey, seenKeys, shareKey } from '../connection/keys.ts'
import { isCluster, type RedisClient } from '../connection/redis-client.ts'
import { asArray, asNumber, asStrings } from '../connection/reply.ts'
import { scripts } from '../connection/script.ts'
import type { RedisContext } from '../nodes/context.ts'
import type { RedisExpiry } from './expiry.ts'

/** 132 bits: enough to distinguish two bodies that one sender sends under the same id. */
const fingerprintChars = 22

type Listening = { node: NodeId; epoch: number } | null
type Appended = { result: AppendResult; notice?: Notice }

/** Appends with one script call, and sends hints to the listening nodes with one publish per node. */
export async function appendBatch(
  context: RedisContext,
  expiry: Pick<RedisExpiry, 'mark'>,
  items: readonly AppendItem[],
): Promise<AppendResult[]> {
  if (items.length === 0) return []
  return context.withDurability(redis => (isCluster(redis) ? appendEach : append)(redis, context, expiry, items))
}

/** In a Cluster a script serves one slot, and so one recipient. A failure affects that recipient only. */
async function appendEach(
  redis: RedisClient,
  context: RedisContext,
  expiry: Pick<RedisExpiry, 'mark'>,
  items: readonly AppendItem[],
): Promise<AppendResult[]> {
  const results: AppendResult[] = items.map(() => ({ status: 'unavailable' }))
  const appends = [...groupsOf(items).values()].map(async places => {
    const own = places.flatMap(at => items[at] ?? [])
    const appended = await append(redis, context, expiry, own).catch(afterFailedAppend)
    for (const [index, result] of appended.entries()) results[places[index] ?? -1] = result
  })
  await Promise.all(appends)
  return results
}

function afterFailedAppend(error: unknown): AppendResult[] {
  if (error instanceof StoreUnavailableError) return []
  throw error
}

async function append(
  redis: RedisClient,
  context: RedisContext,
  expiry: Pick<RedisExpiry, 'mark'>,
  items: readonly AppendItem[],
): Promise<AppendResult[]> {
  const groups = groupsOf(items)
  const isScarce = context.stored.use().level !== 'ok'
  const [keys, args] = [keysOf(groups.keys(), isScarce), argsOf(context, groups, items, isScarce)]
  const reply = asArray(await scripts.append.run(redis, keys, args))
  const { appended, hints, due } = decodeReply(context, groups, items, reply)
  context.stored.removed(asStrings(reply[4]))
  for (const [node, notices] of hints) context.notify(node, notices)
  const unmarked = await markAll(expiry, due)
  return appended.map((result, at) => (unmarked.has(items[at]?.to ?? '') ? afterFailedMark(result) : result))
}

/** For each recipient, the indexes of its items. The script returns results recipient by recipient. */
type Groups = ReadonlyMap<Username, readonly number[]>

function groupsOf(items: readonly AppendItem[]): Groups {
  const groups = new Map<Username, number[]>()
  for (const [at, { to }] of items.entries()) {
    const places = groups.get(to)
    if (places) places.push(at)
    else groups.set(to, [at])
  }
  return groups
}

type Reply = { appended: AppendResult[]; hints: Map<NodeId, Notice[]>; due: Map<Username, number> }

function decodeReply(
  context: RedisContext,
  groups: Groups,
  items: readonly AppendItem[],
  [now, codes, listeners, due]: unknown[],
): Reply {
  const [texts, listening, times] = [asStrings(codes), asStrings(listeners), asStrings(due)]
  const nowMs = asNumber(now)
  const reply: Reply = { appended: [], hints: new Map(), due: new Map() }
  let group = 0
  let next = 0
  for (const [recipient, places] of groups) {
    const listener = decodeListening(listening[group] ?? '')
    const isReachable = listener !== null && context.leases.receivesHints(listener.node)
    const facts = { nowMs, epoch: listener?.epoch ?? 0, queued: !isReachable }
    const notices: Notice[] = []
    for (const at of places) {
      const item = items[at]
      if (!item) continue
      const { result, notice } = decodeResult(texts[next++] ?? '', item, facts)
      reply.appended[at] = result
      if (notice) notices.push(notice)
    }
    if (listener && notices.length > 0) addTo(reply.hints, listener.node, notices)
    if (times[group]) reply.due.set(recipient, Number(times[group]))
    group += 1
  }
  return reply
}

function addTo(hints: Map<NodeId, Notice[]>, node: NodeId, notices: readonly Notice[]): void {
  const before = hints.get(node)
  if (before) before.push(...notices)
  else hints.set(node, [...notices])
}

/** Marks recipients in the index of due times, before their sends are confirmed: accepted mail must also expire. */
async function markAll(expiry: Pick<RedisExpiry, 'mark'>, due: Map<Username, number>): Promise<Set<string>> {
  const unmarked = new Set<string>()
  await Promise.all([...due].map(([name, at]) => expiry.mark(name, at).catch(() => unmarked.add(name))))
  return unmarked
}

/** The envelope is stored, but the mark failed: the sender must repeat the send, which repeats the mark. */
const afterFailedMark = (result: AppendResult): AppendResult =>
  result.status === 'stored' ? { status: 'unavailable' } : result

const keysOf = (recipients: Iterable<Username>, isScarce: boolean): string[] =>
  [...recipients].flatMap(name => [
    metaKey(name),
    inboxKey(name),
    shareKey(name),
    ...seenKeys(name),
    rulesKey(name),
    ...(isScarce ? [knownKey(name)] : []),
  ])

function argsOf(
  { options }: RedisContext,
  groups: Groups,
  items: readonly AppendItem[],
  isScarce: boolean,
): (string | number)[] {
  const { dedupeWindowS, inboxMaxMessages, inboxMaxBytes, messageTtlS } = options
  const shareBytes = inboxMaxBytes * limits.senderShareOfBytes
  const args: (string | number)[] = [
    dedupeWindowS * 1_000,
    inboxMaxMessages,
    inboxMaxBytes,
    limits.maxEnvelopesPerSender,
    shareBytes,
    isScarce ? '1' : '',
  ]
  for (const places of groups.values()) {
    args.push(places.length)
    for (const at of places) {
      const item = items[at]
      if (!item) continue
      const { stream, from, id, kind, body, ttlMs } = item
      const ttl = Math.min(ttlMs, messageTtlS * 1_000)
      args.push(stream, `${id} ${from}`, kind, ttl, fingerprintOf(kind, body), body)
    }
  }
  return args
}

const fingerprintOf = (kind: string, body: string): string =>
  hash('sha256', `${kind} ${body}`, 'base64url').slice(0, fingerprintChars)

function decodeListening(text: string): Listening {
  const [node, epoch] = text.split(' ')
  return node && epoch ? { node, epoch: Number(epoch) } : null
}

type Facts = { nowMs: number; epoch: number; queued: boolean }

/** Decodes one result string of `append.lua`. */
function decodeResult(text: string, item: AppendItem, { nowMs, epoch, queued }: Facts): Appended {
  const [code, number, before] = text.split(' ')
  const seq = Number(number)
  const username = item.to
  switch (code) {
    case 's': {
      const { id, from, kind, body } = item
      const envelope: Envelope = { seq, prev: Number(before), id, from, kind, body, sentAt: nowMs }
      return {
        result: { status: 'stored', seq, queued, repeated: false },
        notice: { kind: 'appended', username, epoch, envelope },
      }
    }
    case 'r':
      return {
        result: { status: 'stored', seq, queued, repeated: true },
        notice: { kind: 'appended', username, epoch },
      }
    case 'u':
      return { result: { status: 'unknown_user' } }
    case 'i':
      return { result: { status: 'id_reused' } }
    case 'd':
      return { result: { status: 'forbidden' } }
    case 'w':
      return { result: { status: 'no_room', why: 'stranger', retryAfter: limits.storageRetryS } }
    case 'f':
      return { result: { status: 'inbox_full', retryAfter: fullRetryS } }
    default:
      return { result: { status: 'unavailable' } }
  }
}
