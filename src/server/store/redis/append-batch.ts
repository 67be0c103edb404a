import { hash } from 'node:crypto'
import { limits } from '../../../protocol/limits.ts'
import type { Username } from '../../../protocol/names.ts'
import type { AppendItem, AppendResult, Envelope, NodeId, Notice } from '../store.ts'
import type { RedisContext } from './context.ts'
import { inboxKey, metaKey, seenKeys, shareKey } from './keys.ts'
import { asArray, asNumber, asString } from './reply.ts'
import { scripts } from './script.ts'

/** What a sender is asked to wait when an inbox is full, s. */
const fullRetryS = 60
/** 132 bits: enough to tell one body of a sender from another of its own. */
const fingerprintChars = 22

type Listening = { node: NodeId; epoch: number } | null
type Appended = { result: AppendResult; notice?: Notice }

/** Appends as one script call, and tells the nodes that listen: one publish each. */
export async function appendBatch(context: RedisContext, items: readonly AppendItem[]): Promise<AppendResult[]> {
  if (items.length === 0) return []
  const recipients = [...new Set(items.map(({ to }) => to))]
  const reply = asArray(await scripts.append.run(context.redis, keysOf(recipients), argsOf(context, recipients, items)))
  const nowMs = asNumber(reply[0])
  const codes = asArray(reply[1])
  const listening = new Map(asArray(reply[2]).map((text, at) => [recipients[at], decodeListening(asString(text))]))
  const hints = new Map<NodeId, Notice[]>()
  const results = items.map((item, at) => {
    const listener = listening.get(item.to) ?? null
    const isHeard = listener !== null && context.leases.hears(listener.node)
    const { result, notice } = decodeResult(asString(codes[at]), item, {
      nowMs,
      epoch: listener?.epoch ?? 0,
      queued: !isHeard,
    })
    if (listener && notice) hints.set(listener.node, [...(hints.get(listener.node) ?? []), notice])
    return result
  })
  for (const [node, notices] of hints) context.tell(node, notices)
  return results
}

const keysOf = (recipients: readonly Username[]): string[] =>
  recipients.flatMap(name => [metaKey(name), inboxKey(name), shareKey(name), ...seenKeys(name)])

function argsOf(
  { options }: RedisContext,
  recipients: readonly Username[],
  items: readonly AppendItem[],
): (string | number)[] {
  const { dedupeWindowS, inboxMaxMessages, inboxMaxBytes, messageTtlS } = options
  const shareBytes = inboxMaxBytes * limits.senderShareOfBytes
  const args: (string | number)[] = [
    dedupeWindowS * 1_000,
    inboxMaxMessages,
    inboxMaxBytes,
    limits.maxEnvelopesPerSender,
    shareBytes,
  ]
  const indexes = new Map(recipients.map((name, at) => [name, at + 1]))
  for (const { stream, from, to, id, kind, body, ttlMs } of items) {
    const ttl = Math.min(ttlMs, messageTtlS * 1_000)
    args.push(indexes.get(to) ?? 0, stream, from, id, kind, ttl, fingerprintOf(kind, body), body)
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

/** The strings of `append.lua`. */
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
    case 'f':
      return { result: { status: 'inbox_full', retryAfter: fullRetryS } }
    default:
      return { result: { status: 'unavailable' } }
  }
}
