import type { Peer } from '../../crypto/session/peer.ts'
import { parseUsername, type Username } from '../../protocol/names.ts'
import { encodeBase64Url } from '../../util/bytes.ts'
import { type ClientContext, readPeer } from '../connection/client-context.ts'
import { InboxRecord } from '../messages/message.ts'
import { isShown, readStanding, type Standing } from '../messages/standing.ts'
import { nextOrder } from '../records/crypto-records.ts'
import { encodeInteger } from '../records/integer-record.ts'
import { keys } from '../records/keys.ts'
import { forgetUnread } from '../shares/unread.ts'
import type { StateReader, StateTransaction } from '../state/state-store.ts'
import { isPart, OpenRecord } from './request-records.ts'
import { rejectQuarantined, undecidedBodies } from './undecryptable.ts'

/** Messages of one peer that are not shown, because of the identity key that they came under. */
export type Withheld = {
  from: Username
  /** That key, base64url; undefined if an older release stored the messages. */
  identity: string | undefined
  /** `undecided`: the peer's key has changed, and the user has not decided. `rejected`: the user pinned another key. */
  reason: 'undecided' | 'rejected'
  /** The number of messages, replies and quarantined bodies. */
  messages: number
}

/** The number of withheld messages that are kept for one peer, the newest ones. */
const maxWithheld = 200
/** The number of records in one read, so that other operations on the state do not wait long. */
const stepSize = 100

/** The key of a message in the inbox, before and after a move. */
export type Moved = readonly [before: string, now: string]

/**
 * What the state did when another key of a peer was pinned.
 * @internal
 */
export type SortedRecords = {
  withheld: number
  /** The keys that left the inbox, and the number of messages that came back into it. */
  removed: string[]
  restored: number
  moved: Moved[]
  /** Ids of the peer's requests that cannot be answered any more. */
  closed: string[]
  /** Ids of own requests whose stored reply is withheld. */
  unanswered: string[]
}

/**
 * Sorts what the state has of a peer by the key that it came under, in the transaction that pins `identity` instead of
 * `before`. Messages, replies and requests that came under another key are withheld; messages that were withheld and
 * came under this one return to the inbox. Received ids, receipts and the number of the peer's card belong to the other
 * key and are forgotten: otherwise its owner could keep messages of the right peer from being shown.
 * @internal
 */
export async function sortByKey(
  tx: StateTransaction,
  peer: Username,
  { before, identity }: { before: string; identity: string },
): Promise<SortedRecords> {
  const sorted: SortedRecords = { withheld: 0, removed: [], restored: 0, moved: [], closed: [], unanswered: [] }
  for (const prefix of [keys.seenOf(peer), keys.receiptsOf(peer)]) {
    for (const [key] of await tx.list(prefix)) tx.delete(key)
  }
  tx.delete(keys.card(peer))
  tx.delete(keys.otherKeyTries(peer))
  await rejectQuarantined(tx, peer, before)
  await closeRequests(tx, peer, identity, sorted)
  const earlier = await tx.list(keys.withheldOf(peer))
  await withholdInbox(tx, peer, identity, sorted)
  await withholdAnswers(tx, peer, identity, sorted)
  sorted.moved.push(...(await moveToEnd(tx, peer)))
  for (const [key, bytes] of earlier) {
    const record = InboxRecord.decode(bytes)
    if (record.identity !== identity) continue
    tx.delete(key)
    tx.put(keys.inbox(await nextOrder(tx)), bytes)
    tx.put(keys.seen(peer, record.id), encodeInteger(record.receivedAt ?? 0))
    sorted.restored += 1
  }
  forgetUnread(tx)
  const kept = await tx.list(keys.withheldOf(peer))
  for (const [key] of kept.slice(0, Math.max(0, kept.length - maxWithheld))) tx.delete(key)
  return sorted
}

/**
 * Moves the unread messages of a peer to the end of the inbox, in their order. While the user had to decide about the
 * peer's key they were not shown, so the cursor of a reader may have passed them.
 * @internal
 */
export async function moveToEnd(tx: StateTransaction, peer: Username): Promise<Moved[]> {
  const moved: Moved[] = []
  for (const [before, bytes] of await tx.list(keys.inboxes())) {
    const { from, id } = InboxRecord.decode(bytes)
    if (from !== peer) continue
    const now = keys.inbox(await nextOrder(tx))
    tx.delete(before)
    tx.put(now, bytes)
    const open = await tx.get(keys.open(peer, id))
    if (open) tx.put(keys.open(peer, id), OpenRecord.encode({ ...OpenRecord.decode(open), inboxKey: now }))
    moved.push([before, now])
  }
  return moved
}

async function closeRequests(
  tx: StateTransaction,
  peer: Username,
  identity: string,
  { closed }: SortedRecords,
): Promise<void> {
  for (const [key, bytes] of await tx.list(keys.openOf(peer))) {
    if (OpenRecord.decode(bytes).identity === identity) continue
    tx.delete(key)
    closed.push(idIn(key))
  }
}

async function withholdInbox(
  tx: StateTransaction,
  peer: Username,
  identity: string,
  sorted: SortedRecords,
): Promise<void> {
  for (const [key, bytes] of await tx.list(keys.inboxes())) {
    const record = InboxRecord.decode(bytes)
    if (record.from !== peer || record.identity === identity) continue
    tx.delete(key)
    tx.put(keys.withheld(peer, await nextOrder(tx)), bytes)
    sorted.removed.push(key)
    sorted.withheld += 1
  }
}

async function withholdAnswers(
  tx: StateTransaction,
  peer: Username,
  identity: string,
  sorted: SortedRecords,
): Promise<void> {
  for (const [key, bytes] of await tx.list(keys.answersOf(peer))) {
    const record = InboxRecord.decode(bytes)
    if (record.identity === identity) continue
    tx.delete(key)
    if (isPart(record)) continue
    tx.put(keys.withheld(peer, await nextOrder(tx)), bytes)
    sorted.unanswered.push(idIn(key))
    sorted.withheld += 1
  }
}

/** The id in a key of the form `KIND/NAME/ID/…`. */
const idIn = (key: string): string => key.split('/')[2] ?? ''

type Held = Omit<Withheld, 'messages'>

/**
 * Lists what is not shown, by peer and key.
 * @internal
 */
export async function listWithheld(context: Pick<ClientContext, 'store' | 'loadPeer'>): Promise<Withheld[]> {
  const held = [
    ...(await heldUnder(context, keys.inboxes())),
    ...(await heldUnder(context, keys.answers())),
    ...(await heldUnder(context, keys.withhelds())),
    ...(await context.store.read(tx => heldInQuarantine(tx, context))),
  ]
  const counts = new Map<string, Withheld>()
  for (const one of held) {
    const key = [one.from, one.identity, one.reason].join('/')
    counts.set(key, { ...one, messages: (counts.get(key)?.messages ?? 0) + 1 })
  }
  return [...counts.values()]
}

async function heldUnder(context: Pick<ClientContext, 'store' | 'loadPeer'>, prefix: string): Promise<Held[]> {
  const held: Held[] = []
  for (let after: string | undefined = prefix; after !== undefined; ) {
    const from: string = after
    const page = await context.store.read(async tx => {
      const entries = await tx.list(prefix, { after: from, limit: stepSize })
      const standings: [InboxRecord, Standing][] = []
      for (const [, bytes] of entries) {
        const record = InboxRecord.decode(bytes)
        standings.push([record, prefix === keys.withhelds() ? 'rejected' : await readStanding(tx, context, record)])
      }
      return { standings, last: entries.length < stepSize ? undefined : entries.at(-1)?.[0] }
    })
    for (const [{ from, identity }, reason] of page.standings) {
      if (!isShown(reason)) held.push({ from: parseUsername(from), identity, reason })
    }
    after = page.last
  }
  return held
}

async function heldInQuarantine(tx: StateReader, context: Pick<ClientContext, 'loadPeer'>): Promise<Held[]> {
  const held: Held[] = []
  for (const { from, identity } of await undecidedBodies(tx)) {
    const peer = await readPeer(tx, context, from)
    if (peer && identity === pinnedKey(peer)) continue
    held.push({ from, identity, reason: peer && peer.trust !== 'changed' ? 'rejected' : 'undecided' })
  }
  return held
}

const pinnedKey = (peer: Peer): string | undefined =>
  peer.trust === 'unknown' ? undefined : encodeBase64Url(peer.identity)
