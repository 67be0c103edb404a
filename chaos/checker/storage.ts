import { ofKind } from '../history/events.ts'
import type { InboxDump } from './dump.ts'
import { groupBy, type Invariant, isLost, type ReportInput } from './report-input.ts'

type Stored = { seq: number; tm: number }

/** Returns the envelopes known to be stored in each inbox, with the latest time of storing. */
function storedByUser({ history, audit }: ReportInput): Map<string, Stored[]> {
  const accepted = ofKind(history, 'accepted').map(({ rcpt: user, seq, tm }) => ({ user, seq, tm }))
  const appended = audit.flatMap(step => (step.op === 'append' ? [{ user: step.to, seq: step.seq, tm: step.end }] : []))
  return groupBy([...accepted, ...appended], ({ user }) => user)
}

/** Invariants that compare Redis with the histories. */
export const storageInvariants: readonly Invariant[] = [
  {
    name: 'I9',
    title: 'no envelope is removed before its recipient has stored it',
    check: input => {
      const stored = storedByUser(input)
      const trims = groupBy(ofKind(input.history, 'trim'), ({ client }) => client)
      return [...input.dumps, ...input.final.inboxes].flatMap(dump => {
        const acked = Math.max(
          0,
          ...(trims.get(dump.user) ?? []).filter(({ tm }) => tm <= dump.end).map(({ seq }) => seq),
        )
        const held = new Set(dump.entries.map(({ seq }) => seq))
        const isMissing = ({ seq, tm }: Stored) =>
          tm < dump.tm && seq > acked && !held.has(seq) && !isLost(input.losses, seq)
        return (stored.get(dump.user) ?? [])
          .filter(isMissing)
          .map(({ seq }) => `${dump.user} had not acknowledged ${seq}, and Redis did not hold it any more`)
      })
    },
  },
  {
    name: 'I17',
    title: 'every stored envelope was pushed, waits, or was lost by Redis, and the counters of Redis are right',
    check: input => [...checkBooks(input), ...[...input.dumps, ...input.final.inboxes].flatMap(checkAccounts)],
  },
]

function checkBooks(input: ReportInput): string[] {
  const stored = storedByUser(input)
  const pushes = groupBy(ofKind(input.history, 'push'), ({ client }) => client)
  const sent = new Set(ofKind(input.history, 'sent').map(({ client, rcpt, frame }) => `${client} ${rcpt} ${frame}`))
  return input.final.inboxes.flatMap(({ user, entries, tm: at }) => {
    const pushed = pushes.get(user) ?? []
    const known = new Set([...pushed, ...entries].map(({ seq }) => seq))
    const gone = (stored.get(user) ?? []).filter(
      ({ seq, tm }) => tm < at && !known.has(seq) && !isLost(input.losses, seq),
    )
    const strays = [...pushed, ...entries].filter(({ sender, frame }) => !sent.has(`${sender} ${user} ${frame}`))
    return [
      ...new Set(gone.map(({ seq }) => `${user}: ${seq} was stored, was not pushed, and is not waiting`)),
      ...strays.map(({ seq }) => `${user}: ${seq} has no sender`),
    ]
  })
}

/** Compares the counters of an inbox with its entries. */
function checkAccounts({ user, entries, count, bytes, shares }: InboxDump): string[] {
  const faults: string[] = []
  const sum = entries.reduce((total, entry) => total + entry.bytes, 0)
  if (count !== entries.length) faults.push(`${user} holds ${entries.length} envelopes and counts ${count}`)
  if (bytes !== sum) faults.push(`${user} holds ${sum} bytes and counts ${bytes}`)
  if (!shares) return faults
  const bySender = groupBy(entries, ({ sender }) => sender)
  for (const sender of new Set([...bySender.keys(), ...Object.keys(shares)])) {
    const held = bySender.get(sender) ?? []
    const share = `${held.length} ${held.reduce((total, entry) => total + entry.bytes, 0)}`
    if (share !== (shares[sender] ?? '0 0'))
      faults.push(`${user} holds ${share} of ${sender} and counts ${shares[sender]}`)
  }
  return faults
}
