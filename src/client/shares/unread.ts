import type { Static } from 'typebox'
import * as Type from 'typebox'
import type { Username } from '../../protocol/names.ts'
import { decodeBase64Url } from '../../util/bytes.ts'
import { decodeMedia } from '../messages/content.ts'
import { InboxRecord } from '../messages/message.ts'
import { isContact, markKnownContacts } from '../records/contacts.ts'
import { keys } from '../records/keys.ts'
import { recordCodec } from '../state/record-codec.ts'
import type { StateTransaction } from '../state/state-store.ts'

/** What waits for the application: `messages` for `receive` and the mailbox, `requests` for a request handler. */
export type UnreadKind = 'messages' | 'requests'

const Share = Type.Object({ count: Type.Integer({ minimum: 0 }), bytes: Type.Integer({ minimum: 0 }) })
type Share = Static<typeof Share>
const Sender = Type.Object({ isContact: Type.Boolean(), messages: Share, requests: Share })

/** What waits unread, for each sender. `countedAt`: when the inbox was last counted, ms since 1970, local clock. */
export const UnreadRecord = recordCodec(
  'unread',
  Type.Object({ countedAt: Type.Integer(), senders: Type.Record(Type.String(), Sender) }),
)
export type UnreadRecord = Static<typeof UnreadRecord.schema>

const mebibyte = 1_048_576

/**
 * The bounds of unread messages and requests that the application does not take. A stranger is an agent that is no
 * contact. Strangers have shares of their own: all of them together cannot use the share of the contacts. The bytes
 * bound the disk: 160 MiB in all.
 */
export const unreadLimits = {
  stranger: {
    messages: { count: 500, bytes: 4 * mebibyte },
    requests: { count: 1_000, bytes: 4 * mebibyte },
  },
  strangers: {
    messages: { count: 2_000, bytes: 16 * mebibyte },
    requests: { count: 2_000, bytes: 16 * mebibyte },
  },
  contact: {
    messages: { count: 2_000, bytes: 16 * mebibyte },
    requests: { count: 2_000, bytes: 16 * mebibyte },
  },
  contacts: {
    messages: { count: 8_000, bytes: 64 * mebibyte },
    requests: { count: 8_000, bytes: 64 * mebibyte },
  },
} as const

/** How often a count is made again before a refusal, ms: an older release on the same state ignores the record. */
const recountMs = 60_000

const nothing = (): Share => ({ count: 0, bytes: 0 })

/** The record of each open transaction: a batch of messages reads it once. */
const loaded = new WeakMap<StateTransaction, UnreadRecord>()

/** Returns the record, counted again if it is missing. */
export async function loadUnread(tx: StateTransaction, nowMs: number): Promise<UnreadRecord> {
  const known = loaded.get(tx)
  if (known) return known
  const bytes = await tx.get(keys.unread())
  if (!bytes) await markKnownContacts(tx)
  const unread = bytes ? UnreadRecord.decode(bytes) : await recount(tx, nowMs)
  loaded.set(tx, unread)
  return unread
}

async function recount(tx: StateTransaction, nowMs: number): Promise<UnreadRecord> {
  const unread: UnreadRecord = { countedAt: nowMs, senders: {} }
  for (const [, bytes] of await tx.list(keys.inboxes())) {
    const record = InboxRecord.decode(bytes)
    await add(tx, unread, { from: record.from as Username, kind: kindOf(record), bytes: bytes.length })
  }
  tx.put(keys.unread(), UnreadRecord.encode(unread))
  loaded.set(tx, unread)
  return unread
}

const kindOf = ({ body, contentKind }: InboxRecord): UnreadKind =>
  contentKind === undefined && decodeMedia(decodeBase64Url(body)).header?.kind === 'request' ? 'requests' : 'messages'

type Item = { from: Username; kind: UnreadKind; bytes: number }

async function add(tx: StateTransaction, unread: UnreadRecord, { from, kind, bytes }: Item): Promise<void> {
  const sender = Object.hasOwn(unread.senders, from) ? unread.senders[from] : undefined
  const known = sender ?? { isContact: await isContact(tx, from), messages: nothing(), requests: nothing() }
  unread.senders[from] = known
  known[kind].count += 1
  known[kind].bytes += bytes
}

/** Messages have left or entered the inbox in another way than one by one: the next use counts again. */
export function forgetUnread(tx: StateTransaction): void {
  tx.delete(keys.unread())
  loaded.delete(tx)
}

/** Counts an item that is stored whatever waits already. */
export async function countUnread(tx: StateTransaction, nowMs: number, item: Item): Promise<void> {
  const unread = await loadUnread(tx, nowMs)
  await add(tx, unread, item)
  tx.put(keys.unread(), UnreadRecord.encode(unread))
}

/** Counts an item if it is within the shares of its sender and of its sender's group. Returns false if it is not. */
export async function countUnreadWithin(tx: StateTransaction, nowMs: number, item: Item): Promise<boolean> {
  let unread = await loadUnread(tx, nowMs)
  let isWithin = await fits(tx, unread, item)
  if (!isWithin && Math.abs(nowMs - unread.countedAt) >= recountMs) {
    unread = await recount(tx, nowMs)
    isWithin = await fits(tx, unread, item)
  }
  if (!isWithin) return false
  await add(tx, unread, item)
  tx.put(keys.unread(), UnreadRecord.encode(unread))
  return true
}

async function fits(tx: StateTransaction, unread: UnreadRecord, { from, kind, bytes }: Item): Promise<boolean> {
  const isOfContact = await isContact(tx, from)
  const own = Object.hasOwn(unread.senders, from) ? unread.senders[from] : undefined
  if (own) own.isContact = isOfContact
  const all = nothing()
  for (const sender of Object.values(unread.senders)) {
    if (sender.isContact !== isOfContact) continue
    all.count += sender[kind].count
    all.bytes += sender[kind].bytes
  }
  const [ofOne, ofAll] = isOfContact
    ? [unreadLimits.contact[kind], unreadLimits.contacts[kind]]
    : [unreadLimits.stranger[kind], unreadLimits.strangers[kind]]
  return hasRoom(own?.[kind] ?? nothing(), ofOne, bytes) && hasRoom(all, ofAll, bytes)
}

const hasRoom = (used: Share, limit: Share, bytes: number): boolean =>
  used.count < limit.count && used.bytes + bytes <= limit.bytes

/** An item has left the inbox. `value` is its record as it was stored. */
export async function countRead(tx: StateTransaction, nowMs: number, value: Uint8Array): Promise<void> {
  const unread = await loadUnread(tx, nowMs)
  const record = InboxRecord.decode(value)
  const sender = Object.hasOwn(unread.senders, record.from) ? unread.senders[record.from] : undefined
  if (!sender) return
  const share = sender[kindOf(record)]
  share.count = Math.max(0, share.count - 1)
  share.bytes = Math.max(0, share.bytes - value.length)
  if (sender.messages.count + sender.requests.count === 0) delete unread.senders[record.from]
  tx.put(keys.unread(), UnreadRecord.encode(unread))
}

/** Returns the number of messages that wait for `receive` and the mailbox. */
export const unreadMessages = ({ senders }: UnreadRecord): number =>
  Object.values(senders).reduce((sum, { messages }) => sum + messages.count, 0)
