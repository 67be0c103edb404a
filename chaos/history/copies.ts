import { type EventOf, type HistoryEvent, ofKind } from './events.ts'

/**
 * A copy of an agent's state, made at `from`. At `to` the original was replaced by it (a restore), or the process that
 * used it beside the original ended (a clone). Monotonic, in ms.
 */
export type Copy = { readonly kind: 'restore' | 'clone'; readonly agent: string; readonly from: number; to: number }

/**
 * Returns true if a client of this agent existed twice at that time, or in a state that a restore has thrown away
 * since.
 */
export const isCopied = (copies: readonly Copy[], agent: string, tm: number): boolean =>
  copies.some(copy => copy.agent === agent && tm >= copy.from && tm <= copy.to)

/** Returns true if two processes used copies of this agent's state at that time. */
export const isCloned = (copies: readonly Copy[], agent: string, tm: number): boolean =>
  isCopied(
    copies.filter(({ kind }) => kind === 'clone'),
    agent,
    tm,
  )

/** The envelopes, as `USER SEQ`, that a client got into a state which is gone since. */
const pushedToCopies = (history: readonly HistoryEvent[], copies: readonly Copy[]): Set<string> =>
  new Set(
    ofKind(history, 'push')
      .filter(({ client, tm }) => isCopied(copies, client, tm))
      .map(({ client, seq }) => `${client} ${seq}`),
  )

type Missing = Pick<EventOf<'ok'>, 'client' | 'rcpt' | 'seq' | 'cid'>

/**
 * Returns the accepted messages that were neither shown nor excused by a copy of the sender's or of the recipient's
 * state. Excused are messages that went into a state which is gone, and as many of each pair as the recipient reported
 * as undecryptable since the copy: two copies end each other's sessions, and ask a peer to send again once an hour.
 */
export function unexcused<Message extends Missing>(
  missing: readonly Message[],
  history: readonly HistoryEvent[],
  copies: readonly Copy[],
): Message[] {
  if (missing.length === 0 || copies.length === 0) return [...missing]
  const gone = pushedToCopies(history, copies)
  const reported = undecryptableSince(history, copies)
  return missing.filter(({ client, rcpt, seq }) => {
    if (gone.has(`${rcpt} ${seq}`)) return false
    const pair = `${client} ${rcpt}`
    const left = reported.get(pair) ?? 0
    reported.set(pair, left - 1)
    return left <= 0
  })
}

/** The number of bodies of each pair, as `SENDER RECIPIENT`, that were undecryptable since one of both was copied. */
function undecryptableSince(history: readonly HistoryEvent[], copies: readonly Copy[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { client, name, detail, tm } of ofKind(history, 'client-event')) {
    if (name !== 'undecryptable') continue
    const { from }: { from: string } = JSON.parse(detail)
    if (!copies.some(copy => tm >= copy.from && (copy.agent === client || copy.agent === from))) continue
    counts.set(`${from} ${client}`, (counts.get(`${from} ${client}`) ?? 0) + 1)
  }
  return counts
}
