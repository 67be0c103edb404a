import { limits } from '../protocol/limits.ts'
import { ExpiredError } from './base/errors.ts'
import type { ClientContext } from './connection/client-context.ts'
import { AskedRecord, OpenRecord } from './inbox/request-records.ts'
import { ConfirmationRecord, noteGivenUp } from './outbox/confirmation-record.ts'
import { OutboxRecord } from './outbox/outbox-record.ts'
import { OutcomeRecord } from './outbox/send-result.ts'
import { decodeInteger, encodeInteger } from './records/integer-record.ts'
import { keys, nameIn } from './records/keys.ts'
import type { StateEntry, StateTransaction } from './state/state-store.ts'

const dayMs = 86_400_000
/**
 * How long it is remembered what has arrived, ms: a node keeps mail for a mailbox lifetime, and a sender may hold on to it for as long
 * before that.
 */
const rememberMs = 2 * limits.messageTtlS * 1_000
/** Why a message is given up that a node took and no recipient ever confirmed: it is past its time there, and a day for clocks. */
const graceMs = dayMs
/** What became of a message: for the process that queued it, when another one sent it, and for who waits until it is confirmed. */
const outcomeMs = dayMs
/** Entries of one step, so that nobody else waits long. */
const stepSize = 500

/** Forgets, once a day, what has served its time: without it a state would grow with every message for ever. */
export async function sweep(context: ClientContext): Promise<void> {
  const nowMs = context.now()
  const last = await context.store.read(tx => tx.get(keys.swept()))
  if (last && Math.abs(nowMs - decodeInteger(last)) < dayMs) return
  await context.store.transaction(tx => tx.put(keys.swept(), encodeInteger(nowMs)))
  const isOld = (ageMs: number) => (bytes: Uint8Array) => nowMs - decodeInteger(bytes) > ageMs
  await drop(context, keys.seens(), isOld(rememberMs))
  await drop(context, keys.bodies(), isOld(rememberMs))
  await drop(context, keys.outcomes(), bytes => nowMs - OutcomeRecord.decode(bytes).at > outcomeMs)
  await drop(context, keys.askeds(), bytes => AskedRecord.decode(bytes).deadline + graceMs < nowMs)
  await drop(context, keys.opens(), bytes => OpenRecord.decode(bytes).deadline + graceMs < nowMs)
  await drop(context, keys.confirmations(), bytes => nowMs - ConfirmationRecord.decode(bytes).at > outcomeMs)
  const isExpired = (bytes: Uint8Array) => OutboxRecord.decode(bytes).expiresAt + graceMs < nowMs
  const giveUp = (tx: StateTransaction, [key, bytes]: StateEntry) =>
    noteGivenUp(tx, { id: OutboxRecord.decode(bytes).id, to: nameIn(key), error: unconfirmed(), nowMs })
  for (const [key, bytes] of await drop(context, keys.sents(), isExpired, giveUp)) {
    context.events.emit('refused', { id: OutboxRecord.decode(bytes).id, to: nameIn(key), error: unconfirmed() })
  }
}

const unconfirmed = () => new ExpiredError('a node had it, and the recipient did not confirm it within its ttl')

/** Removes the entries under a prefix that have served, a bounded step at a time, and answers which they were. */
async function drop(
  context: ClientContext,
  prefix: string,
  hasServed: (value: Uint8Array) => boolean,
  also: (tx: StateTransaction, entry: StateEntry) => void = () => {},
): Promise<StateEntry[]> {
  const dropped: StateEntry[] = []
  for (let after = prefix; !context.closing.aborted; ) {
    const entries = await context.store.read(tx => tx.list(prefix, { after, limit: stepSize }))
    const served = entries.filter(([, value]) => hasServed(value))
    if (served.length > 0) {
      await context.store.transaction(tx => {
        for (const entry of served) {
          tx.delete(entry[0])
          also(tx, entry)
        }
      })
    }
    dropped.push(...served)
    const last = entries.at(-1)
    if (!last || entries.length < stepSize) break
    after = last[0]
  }
  return dropped
}
