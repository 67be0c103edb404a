import type { Static } from 'typebox'
import * as Type from 'typebox'
import type { Username } from '../../protocol/names.ts'
import type { Remedy } from '../base/events.ts'
import { isContact } from '../records/contacts.ts'
import { keys, nameIn } from '../records/keys.ts'
import { recordCodec } from '../state/record-codec.ts'
import type { StateTransaction } from '../state/state-store.ts'

const Entry = Type.Object({
  key: Type.String(),
  remedy: Type.Union([Type.Literal('none'), Type.Literal('reset'), Type.Literal('retry')]),
  order: Type.Integer(),
})
export type QuarantineEntry = Static<typeof Entry>

/** What is in the quarantine, without the bodies. `listedAt`: when it was last compared with the quarantine, ms. */
export const QuarantineIndex = recordCodec(
  'quarantine',
  Type.Object({ listedAt: Type.Integer(), entries: Type.Array(Entry) }),
)
type QuarantineIndex = Static<typeof QuarantineIndex.schema>

/** Bodies kept for one sender: what a few minutes of a changed key or of a rate limit bring. */
export const maxKeptOfSender = 20
/** Bodies kept in all: 18 MiB at most. */
export const maxKept = 200
/** How often the index is compared with the quarantine before an eviction, ms: an older release ignores the index. */
const relistMs = 3_600_000

/** The first to be evicted has the lowest value. A body that may be decrypted later is worth the most. */
const worth: Record<Remedy, number> = { none: 0, reset: 1, retry: 2 }
const byWorth = (a: QuarantineEntry, b: QuarantineEntry): number =>
  worth[a.remedy] - worth[b.remedy] || a.order - b.order

type Context = {
  nowMs: number
  /** Lists the quarantine. */
  list: (tx: StateTransaction) => Promise<QuarantineEntry[]>
}

async function load(tx: StateTransaction, { nowMs, list }: Context): Promise<QuarantineIndex> {
  const bytes = await tx.get(keys.quarantine())
  return bytes ? QuarantineIndex.decode(bytes) : { listedAt: nowMs, entries: await list(tx) }
}

/**
 * Adds a body to the quarantine's index. Over a bound one body loses its place: of the sender that is over its own
 * share; else of the stranger with the most bodies, and only without strangers of the contact with the most. Of that
 * sender, the one that is worth the least, which may be the new one.
 * @returns the entries that lose their place, already deleted
 */
export async function enterQuarantine(
  tx: StateTransaction,
  context: Context,
  entry: QuarantineEntry,
): Promise<QuarantineEntry[]> {
  let index = await load(tx, context)
  const isFull = (all: readonly QuarantineEntry[]) =>
    all.length >= maxKept || all.filter(({ key }) => nameIn(key) === nameIn(entry.key)).length >= maxKeptOfSender
  if (isFull(index.entries) && Math.abs(context.nowMs - index.listedAt) >= relistMs) {
    index = { listedAt: context.nowMs, entries: await context.list(tx) }
  }
  const kept = [...index.entries.filter(({ key }) => key !== entry.key), entry]
  const evicted: QuarantineEntry[] = []
  for (let victim = await victimOf(tx, kept, entry); victim; victim = await victimOf(tx, kept, entry)) {
    kept.splice(kept.indexOf(victim), 1)
    tx.delete(victim.key)
    evicted.push(victim)
  }
  tx.put(keys.quarantine(), QuarantineIndex.encode({ ...index, entries: kept }))
  return evicted
}

async function victimOf(
  tx: StateTransaction,
  kept: readonly QuarantineEntry[],
  entry: QuarantineEntry,
): Promise<QuarantineEntry | undefined> {
  const bySender = new Map<Username, QuarantineEntry[]>()
  for (const each of kept) bySender.set(nameIn(each.key), [...(bySender.get(nameIn(each.key)) ?? []), each])
  const own = bySender.get(nameIn(entry.key)) ?? []
  if (own.length > maxKeptOfSender) return own.sort(byWorth)[0]
  if (kept.length <= maxKept) return undefined
  const senders = await Promise.all(
    [...bySender].map(async ([name, entries]) => ({ entries, isContact: await isContact(tx, name) })),
  )
  const strangers = senders.filter(sender => !sender.isContact)
  const most = (strangers.length > 0 ? strangers : senders).sort((a, b) => b.entries.length - a.entries.length)[0]
  return most?.entries.sort(byWorth)[0]
}

/** A body leaves the quarantine: it was decrypted. */
export async function leaveQuarantine(tx: StateTransaction, key: string): Promise<void> {
  tx.delete(key)
  const bytes = await tx.get(keys.quarantine())
  if (!bytes) return
  const index = QuarantineIndex.decode(bytes)
  const entries = index.entries.filter(entry => entry.key !== key)
  tx.put(keys.quarantine(), QuarantineIndex.encode({ ...index, entries }))
}
