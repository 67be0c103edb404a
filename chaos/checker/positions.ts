import { ofKind } from '../history/events.ts'
import { groupBy, type Invariant, isLost, type ReportInput } from './report-input.ts'

/** An observation of an envelope at a position in an inbox. */
type Placed = { rcpt: string; seq: number; sender: string; frame: string; h?: string }

/** Collects the observations of senders, nodes, recipients and Redis. */
function placed({ history, audit, dumps, final }: ReportInput): Placed[] {
  const accepted = ofKind(history, 'accepted').map(({ client: sender, rcpt, frame, h, seq }) => ({
    rcpt,
    seq,
    sender,
    frame,
    h,
  }))
  const pushed = ofKind(history, 'push').map(({ client: rcpt, sender, frame, h, seq }) => ({
    rcpt,
    seq,
    sender,
    frame,
    h,
  }))
  const appended = audit.flatMap(step =>
    step.op === 'append' ? [{ rcpt: step.to, seq: step.seq, sender: step.from, frame: step.frame }] : [],
  )
  const dumped = [...dumps, ...final.inboxes].flatMap(({ user: rcpt, entries }) =>
    entries.map(({ seq, sender, frame }) => ({ rcpt, seq, sender, frame })),
  )
  return [...accepted, ...pushed, ...appended, ...dumped]
}

const placeOf = ({ rcpt, seq }: Placed): string => `${rcpt} ${seq}`
const envelopeOf = ({ rcpt, sender, frame }: Placed): string => `${sender} -> ${rcpt} ${frame}`
const distinct = <Value>(values: Iterable<Value>): Value[] => [...new Set(values)]

/** Invariants about positions in inboxes and the order of pushes. */
export const positionInvariants: readonly Invariant[] = [
  {
    name: 'I5',
    title: 'a position in an inbox holds one envelope, and an envelope has one position',
    check: input => [...checkPlaces(placed(input)), ...checkEnvelopes(placed(input), input)],
  },
  {
    name: 'I6',
    title: 'on one connection no envelope is skipped or repeated',
    check: ({ history }) => {
      const last = new Map<string, number>()
      return ofKind(history, 'push').flatMap(({ client, conn, seq, prev }) => {
        const key = `${client} ${conn}`
        const before = last.get(key) ?? 0
        last.set(key, seq)
        return prev === before && seq > before ? [] : [`${client} got ${seq} after ${before}, with prev ${prev}`]
      })
    },
  },
  {
    name: 'I8',
    title: 'a repeated send is answered with the same seq',
    check: ({ history, losses }) =>
      [...groupBy(ofKind(history, 'accepted'), ({ client, rcpt, frame }) => `${client} -> ${rcpt} ${frame}`)].flatMap(
        ([envelope, answers]) => {
          const seqs = distinct(answers.map(({ seq }) => seq)).filter(seq => !isLost(losses, seq))
          return seqs.length > 1 ? [`${envelope} was accepted as ${seqs.join(' and ')}`] : []
        },
      ),
  },
]

const checkPlaces = (all: readonly Placed[]): string[] =>
  [...groupBy(all, placeOf)].flatMap(([place, seen]) => {
    const envelopes = distinct(seen.map(envelopeOf))
    const bodies = distinct(seen.flatMap(({ h }) => (h === undefined ? [] : [h])))
    return envelopes.length > 1 || bodies.length > 1 ? [`${place} is ${envelopes.join(' and ')}`] : []
  })

/** An envelope that Redis lost may have been stored again at another position. */
const checkEnvelopes = (all: readonly Placed[], { losses }: ReportInput): string[] =>
  [...groupBy(all, envelopeOf)].flatMap(([envelope, seen]) => {
    const seqs = distinct(seen.map(({ seq }) => seq)).filter(seq => !isLost(losses, seq))
    return seqs.length > 1 ? [`${envelope} is at ${seqs.join(' and ')}`] : []
  })
