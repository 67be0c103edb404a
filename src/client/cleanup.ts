import { limits } from '../protocol/limits.ts'
import { ExpiredError } from './base/errors.ts'
import type { ClientContext } from './connection/client-context.ts'
import { AskedRecord, OpenRecord } from './inbox/request-records.ts'
import { InboxRecord } from './messages/message.ts'
import { ConfirmationRecord, noteGivenUp } from './outbox/confirmation-record.ts'
import { OutboxRecord, receiptDueAt } from './outbox/outbox-record.ts'
import { SendResultRecord } from './outbox/send-result.ts'
import { decodeInteger, encodeInteger } from './records/integer-record.ts'
import { keys, nameIn } from './records/keys.ts'
import type { StateEntry, StateTransaction } from './state/state-store.ts'

const dayMs = 86_400_000
/**
 * How long received ids and bodies are remembered, ms. A node keeps an envelope for at most one ttl, and its sender may
 * have kept it for one ttl before.
 */
const rememberMs = 2 * limits.messageTtlS * 1_000
/** Margin for wrong clocks, added to the ttl of a message before it is given up. */
const graceMs = dayMs
/** How long the result of a message is kept for other processes and for callers of `confirmed`. */
const resultMs = dayMs
/** How long messages are kept that came under a key that the user has rejected, ms. */
const withheldMs = 30 * dayMs
/** How long a message that was delivered and not read is known: only a known message can be reported as read. */
const unreadMs = limits.messageTtlS * 1_000 + dayMs
/** Entries handled in one transaction, so that other transactions do not wait long. */
const stepSize = 500

/** Removes expired records, at most once a day. Without it the state would grow with every message. */
export async function removeExpiredRecords(context: ClientContext): Promise<void> {
  const nowMs = context.now()
  const last = await context.store.read(tx => tx.get(keys.lastCleanup()))
  if (last && Math.abs(nowMs - decodeInteger(last)) < dayMs) return
  await context.store.transaction(tx => tx.put(keys.lastCleanup(), encodeInteger(nowMs)))
  const isOld = (ageMs: number) => (bytes: Uint8Array) => nowMs - decodeInteger(bytes) > ageMs
  for (const prefix of [keys.seens(), keys.bodies(), keys.refusalsTold()]) await restamp(context, prefix, nowMs)
  await remove(context, keys.seens(), isOld(rememberMs))
  await remove(context, keys.refusalsTold(), isOld(dayMs))
  await remove(context, keys.bodies(), isOld(rememberMs))
  await remove(context, keys.sendResults(), bytes => nowMs - SendResultRecord.decode(bytes).at > resultMs)
  await remove(context, keys.askeds(), bytes => AskedRecord.decode(bytes).deadline + graceMs < nowMs)
  await remove(context, keys.opens(), bytes => OpenRecord.decode(bytes).deadline + graceMs < nowMs)
  const isOldMessage = (bytes: Uint8Array) => nowMs - (InboxRecord.decode(bytes).receivedAt ?? 0) > withheldMs
  await remove(context, keys.withhelds(), isOldMessage)
  await remove(context, keys.confirmations(), bytes => {
    const { at, confirmed } = ConfirmationRecord.decode(bytes)
    const isUnread = 'state' in confirmed && confirmed.state === 'delivered'
    return nowMs - at > (isUnread ? unreadMs : resultMs)
  })
  const isExpired = (bytes: Uint8Array) => receiptDueAt(OutboxRecord.decode(bytes)) + graceMs < nowMs
  const giveUp = (tx: StateTransaction, [key, bytes]: StateEntry) =>
    noteGivenUp(tx, { id: OutboxRecord.decode(bytes).id, to: nameIn(key), error: unconfirmed(), nowMs })
  for (const [key, bytes] of await remove(context, keys.sents(), isExpired, giveUp)) {
    context.events.emit('refused', { id: OutboxRecord.decode(bytes).id, to: nameIn(key), error: unconfirmed() })
  }
}

const unconfirmed = () => new ExpiredError('a node accepted it, but the recipient did not confirm it within its ttl')

/** Times in the future count from now: the clock was set back, and the records would be kept for years. */
async function restamp(context: ClientContext, prefix: string, nowMs: number): Promise<void> {
  for (let after: string | undefined = prefix; after !== undefined && !context.closing.aborted; ) {
    const from: string = after
    const entries = await context.store.read(tx => tx.list(prefix, { after: from, limit: stepSize }))
    const wrong = entries.filter(([, value]) => decodeInteger(value) > nowMs + graceMs)
    if (wrong.length > 0) {
      await context.store.transaction(tx => {
        for (const [key] of wrong) tx.put(key, encodeInteger(nowMs))
      })
    }
    after = entries.length < stepSize ? undefined : entries.at(-1)?.[0]
  }
}

/** Removes the expired entries under a prefix, a bounded step at a time. @returns the removed entries */
async function remove(
  context: ClientContext,
  prefix: string,
  isExpired: (value: Uint8Array) => boolean,
  also: (tx: StateTransaction, entry: StateEntry) => void = () => {},
): Promise<StateEntry[]> {
  const removed: StateEntry[] = []
  for (let after = prefix; !context.closing.aborted; ) {
    const from = after
    const { entries, expired } = await context.store.read(async tx => {
      const found = await tx.list(prefix, { after: from, limit: stepSize })
      return { entries: found, expired: found.filter(([, value]) => isExpired(value)) }
    })
    if (expired.length > 0) {
      await context.store.transaction(tx => {
        for (const entry of expired) {
          tx.delete(entry[0])
          also(tx, entry)
        }
      })
    }
    removed.push(...expired)
    const last = entries.at(-1)
    if (!last || entries.length < stepSize) break
    after = last[0]
  }
  return removed
}
