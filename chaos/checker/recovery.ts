import { type EventOf, ofKind } from '../history/events.ts'
import type { Loss } from '../processes/redis-server.ts'
import { groupBy, type Invariant, isLost, type ReportInput } from './report-input.ts'

/** Limits from the end of the last fault, in ms. */
const firstOkMs = 5_000
const drainMs = 30_000
/** Two sides that were both restored need up to a minute more. */
const drainWithCopiesMs = 90_000
/**
 * How long a message that was pushed before Redis lost it may be in transit, in ms: its receipt may arrive before the
 * sender repeats it.
 */
const inFlightMs = 5_000
/** Nodes may grow by a fifth, or by the warm-up memory of a new process, in bytes. */
const growth = 1.2
const warmUpBytes = 64 * 1_048_576

/** Invariants about recovery and about known losses. */
export const recoveryInvariants: readonly Invariant[] = [
  {
    name: 'I15',
    title: 'service recovers: sends, the drain, empty inboxes, no failed process, no memory leak',
    check: input => [
      ...checkService(input),
      ...input.final.inboxes
        .filter(({ entries }) => entries.length > 0)
        .map(({ user, entries }) => `${entries.length} envelopes wait for ${user}, which is online`),
      ...ofKind(input.history, 'unhandled').map(({ client, error }) => `${client}: unhandled: ${error}`),
      ...input.crashes,
      ...checkMemory(input),
    ],
  },
  {
    name: 'I16',
    title: 'loss is reported: the sender of a message that Redis lost learns it and sends it again',
    check: input => input.losses.flatMap(loss => checkLoss(input, loss)),
  },
]

function checkService({ history, phases, copies }: ReportInput): string[] {
  const faults: string[] = []
  const first = ofKind(history, 'ok').find(({ tm }) => tm >= phases.healed)
  if (!first) faults.push('nothing was accepted after the last fault')
  else if (first.tm - phases.healed > firstOkMs)
    faults.push(`the first send was accepted ${seconds(first.tm - phases.healed)} after the last fault`)
  if (phases.drained === null) faults.push(`not drained ${seconds(phases.end - phases.healed)} after the last fault`)
  else if (phases.drained - phases.healed > (copies.length > 0 ? drainWithCopiesMs : drainMs))
    faults.push(`drained ${seconds(phases.drained - phases.healed)} after the last fault`)
  return faults
}

const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`

function checkMemory({ memory }: ReportInput): string[] {
  const before = Math.max(...memory.before)
  const allowed = Math.max(before * growth, before + warmUpBytes)
  return memory.after
    .filter(bytes => bytes > allowed)
    .map(bytes => `a node grew from ${mebibytes(before)} to ${mebibytes(bytes)}`)
}

const mebibytes = (bytes: number): string => `${Math.round(bytes / 1_048_576)} MiB`

/** Checks the messages that were accepted, lost, and not shown before. */
function checkLoss({ history }: ReportInput, loss: Loss): string[] {
  const { tm } = loss.to
  const shownBy = (end: number) =>
    new Set(ofKind(history, 'recv').flatMap(event => (event.tm <= end ? [event.cid] : [])))
  const shown = shownBy(tm)
  const shownSoon = shownBy(tm + inFlightMs)
  const affected = ofKind(history, 'ok').filter(
    event => event.tm <= tm && isLost([loss], event.seq) && !shown.has(event.cid),
  )
  const informed = groupBy(
    ofKind(history, 'client-event').filter(event => event.name === 'generation' && event.tm > loss.from.tm),
    ({ client }) => client,
  )
  const frames = new Map(
    ofKind(history, 'accepted').map(({ client, rcpt, seq, frame }) => [`${client} ${rcpt} ${seq}`, frame]),
  )
  const again = new Set(
    ofKind(history, 'sent').flatMap(event => (event.tm > tm ? [`${event.client} ${event.rcpt} ${event.frame}`] : [])),
  )
  const isSentAgain = ({ client, rcpt, seq }: EventOf<'ok'>) =>
    again.has(`${client} ${rcpt} ${frames.get(`${client} ${rcpt} ${seq}`)}`)
  return affected.flatMap(event => {
    if (!informed.has(event.client)) return [`${event.client} was not informed that ${event.cid} may be lost`]
    return isSentAgain(event) || shownSoon.has(event.cid) ? [] : [`${event.cid} was lost and not sent again`]
  })
}
