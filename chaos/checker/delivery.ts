import { isCopied, unexcused } from '../history/copies.ts'
import { type EventOf, ofKind } from '../history/events.ts'
import { groupBy, type Invariant, type ReportInput } from './report-input.ts'

/** How long another client of the agent may still hold a message after it was acknowledged, in ms. */
const inHandMs = 1_000

const messageOf = ({ client, sender, cid }: { client: string; sender: string; cid: string }): string =>
  `${sender} -> ${client} ${cid}`

/** Invariants about the messages that applications send and see. */
export const deliveryInvariants: readonly Invariant[] = [
  {
    name: 'I1',
    title: 'no accepted message is lost',
    check: ({ history, copies }) => {
      const shown = new Set(ofKind(history, 'recv').map(messageOf))
      const nameOf = ({ client: sender, rcpt: client, cid }: EventOf<'ok'>) => messageOf({ client, sender, cid })
      const missing = ofKind(history, 'ok').filter(event => !shown.has(nameOf(event)))
      return unexcused(missing, history, copies).map(event => `${nameOf(event)} was accepted and never shown`)
    },
  },
  {
    name: 'I2',
    title: 'every shown message was sent',
    check: ({ history }) => {
      const sent = new Set(ofKind(history, 'invoke').map(({ client, rcpt, cid, h }) => `${client} ${rcpt} ${cid} ${h}`))
      return ofKind(history, 'recv')
        .filter(({ client, sender, cid, h }) => !sent.has(`${sender} ${client} ${cid} ${h}`))
        .map(event => `${messageOf(event)} was shown and never sent like this`)
    },
  },
  {
    name: 'I3',
    title: 'no message is shown whose send was refused',
    check: ({ history }) => {
      const refused = new Set(ofKind(history, 'fail').map(({ cid }) => cid))
      return ofKind(history, 'recv')
        .filter(({ cid }) => refused.has(cid))
        .map(event => `${messageOf(event)} was refused and shown`)
    },
  },
  {
    name: 'I4',
    title: 'no message is shown again after the application has acknowledged it',
    check: ({ history, copies }) => {
      const done = new Map<string, EventOf<'acked'>>()
      const faults: string[] = []
      for (const event of ofKind(history, 'recv', 'acked')) {
        const before = done.get(messageOf(event))
        if (event.ev === 'acked') done.set(messageOf(event), before ?? event)
        else if (before && !isInHand(event, before) && !isCopied(copies, event.client, before.tm))
          faults.push(`${messageOf(event)} was shown again`)
      }
      return faults
    },
  },
  {
    name: 'I7',
    title: 'a message sent after the acceptance of another one is shown after it',
    check: input => [...checkShownOrder(input), ...checkStoredOrder(input)],
  },
]

const isInHand = (shown: EventOf<'recv'>, acked: EventOf<'acked'>): boolean =>
  shown.inc === acked.inc && shown.by !== acked.by && shown.tm - acked.tm < inHandMs

const pairOf = ({ client, rcpt }: { client: string; rcpt: string }): string => `${client} -> ${rcpt}`

/** Compares each shown message with the latest start of the sends shown before it. */
function checkShownOrder({ history, copies }: ReportInput): string[] {
  const sends = sendsByCid(history, copies)
  const firsts = new Map(
    ofKind(history, 'recv')
      .toReversed()
      .map(event => [event.cid, event]),
  )
  const shown = [...firsts.values()].sort((a, b) => a.tm - b.tm)
  return overtakings(shown.flatMap(({ cid }) => sends.get(cid) ?? [])).map(
    ({ late, early }) => `${late.cid} was shown after ${early.cid}, which was sent after its acceptance`,
  )
}

/** The same check by the `seq` of the inbox. */
function checkStoredOrder({ history, copies }: ReportInput): string[] {
  const sends = [...sendsByCid(history, copies).values()].filter(({ seq }) => seq > 0).sort((a, b) => a.seq - b.seq)
  return overtakings(sends).map(({ late, early }) => `${late.cid} has a higher seq than ${early.cid}, sent after it`)
}

type Send = { cid: string; pair: string; from: number; accepted: number; seq: number }

/** A copy of a state sends what its original has sent meanwhile, and has no order with it. */
function sendsByCid(history: ReportInput['history'], copies: ReportInput['copies']): Map<string, Send> {
  const sends = new Map<string, Send>()
  const copied = new Set(copies.map(({ agent }) => agent))
  for (const event of ofKind(history, 'invoke', 'ok')) {
    if (copied.has(event.client) || copied.has(event.rcpt)) continue
    const { cid, tm } = event
    const send = sends.get(cid) ?? {
      cid,
      pair: pairOf(event),
      from: tm,
      accepted: Number.POSITIVE_INFINITY,
      seq: 0,
    }
    if (event.ev === 'ok') Object.assign(send, { accepted: tm, seq: event.seq })
    sends.set(cid, send)
  }
  return sends
}

/** Returns the sends that come after one that began when they had already ended. `sends` is in order of effect. */
function overtakings(sends: readonly Send[]): { late: Send; early: Send }[] {
  return [...groupBy(sends, ({ pair }) => pair).values()].flatMap(ofPair => {
    const found: { late: Send; early: Send }[] = []
    let newest: Send | undefined
    for (const send of ofPair) {
      if (newest && newest.from > send.accepted) found.push({ late: send, early: newest })
      if (!newest || send.from > newest.from) newest = send
    }
    return found
  })
}
