import type { Broken } from './checker/check.ts'
import type { ReportInput } from './checker/report-input.ts'
import type { FaultRecord } from './faults/run-faults.ts'
import { type EventOf, ofKind } from './history/events.ts'

/** If a smaller share of operations overlaps a fault, the verdict is unknown. */
const minOverlap = 0.2
/** The number of violations printed per invariant. */
const maxPrinted = 5
/** A time without any acceptance counts as an outage from this length on, in ms. */
const outageMs = 1_000

export type Verdict = 'pass' | 'broken' | 'unknown'

/** A run in numbers. */
type Summary = {
  sent: number
  accepted: number
  refused: number
  unknown: number
  shown: number
  faults: number
  landed: number
  /** The share of operations that overlap a fault that took effect. */
  overlap: number
  /** Repeated pushes per envelope. */
  repeatedPushes: number
  /** From `send` to `accepted`, and to the recipient's application, in ms, by phase. */
  latencies: Latency[]
  /** From a frame on the wire to its answer, or to the end of its connection, in ms, during the faults. */
  answers: { count: number; p50: number; p99: number; longest: number }
  outages: number[]
  stale: number
}

type Latency = { phase: string; what: 'accepted' | 'shown'; count: number; p50: number; p99: number; p999: number }

export const judge = (broken: readonly Broken[], { overlap, landed }: Summary): Verdict => {
  if (broken.length > 0) return 'broken'
  return landed === 0 || overlap < minOverlap ? 'unknown' : 'pass'
}

export function summarize(input: ReportInput): Summary {
  const { history, faults, audit } = input
  const landed = faults.filter(fault => fault.landed !== null)
  const operations = operationsOf(input)
  const overlapping = operations.filter(({ from, to }) =>
    landed.some(fault => fault.from < to && fault.to > from),
  ).length
  const pushes = ofKind(history, 'push').map(({ client, seq }) => `${client} ${seq}`)
  const firsts = new Set(pushes).size
  return {
    sent: operations.length,
    accepted: ofKind(history, 'ok').length,
    refused: ofKind(history, 'fail').length,
    unknown: operations.filter(({ to }) => to === Number.POSITIVE_INFINITY).length,
    shown: new Set(ofKind(history, 'recv').map(({ cid }) => cid)).size,
    faults: faults.length,
    landed: landed.length,
    overlap: operations.length === 0 ? 0 : overlapping / operations.length,
    repeatedPushes: firsts === 0 ? 0 : (pushes.length - firsts) / firsts,
    latencies: latenciesOf(input, operations),
    answers: answersOf(input),
    outages: outagesOf(ofKind(history, 'ok')),
    stale: audit.filter(step => (step.op === 'ack' || step.op === 'read') && step.outcome === 'stale').length,
  }
}

/** A send from its call to its acceptance; `to` is Infinity without an end. */
type Operation = { cid: string; from: number; to: number; shown: number }

function operationsOf({ history }: ReportInput): Operation[] {
  const never = Number.POSITIVE_INFINITY
  const operations = new Map<string, Operation>()
  for (const { cid, tm } of ofKind(history, 'invoke')) operations.set(cid, { cid, from: tm, to: never, shown: never })
  for (const event of ofKind(history, 'ok', 'fail', 'recv')) {
    const operation = operations.get(event.cid)
    if (!operation) continue
    if (event.ev === 'recv') operation.shown = Math.min(operation.shown, event.tm)
    else operation.to = event.tm
  }
  return [...operations.values()]
}

function latenciesOf({ phases }: ReportInput, operations: readonly Operation[]): Latency[] {
  const { load, firstFault, healed, end } = phases
  const spans = [
    { phase: 'before', from: load, to: firstFault },
    { phase: 'faults', from: firstFault, to: healed },
    { phase: 'after', from: healed, to: end },
  ]
  return spans.flatMap(({ phase, from, to }) => {
    const within = operations.filter(operation => operation.from >= from && operation.from < to)
    const latency = (what: Latency['what'], until: (operation: Operation) => number): Latency => {
      const ms = within.map(operation => until(operation) - operation.from).filter(Number.isFinite)
      return {
        phase,
        what,
        count: ms.length,
        p50: quantile(ms, 0.5),
        p99: quantile(ms, 0.99),
        p999: quantile(ms, 0.999),
      }
    }
    return [latency('accepted', ({ to }) => to), latency('shown', ({ shown }) => shown)]
  })
}

function answersOf({ history, phases: { firstFault, healed } }: ReportInput): Summary['answers'] {
  const open = new Map<string, { conn: string; tm: number }>()
  const ms: number[] = []
  for (const event of ofKind(history, 'sent', 'accepted', 'refused', 'close')) {
    const conn = `${event.client} ${event.conn}`
    if (event.ev === 'sent') {
      if (event.tm >= firstFault && event.tm < healed) open.set(`${conn} ${event.frame}`, { conn, tm: event.tm })
      continue
    }
    const isEnded = (key: string, sent: { conn: string }) =>
      event.ev === 'close' ? sent.conn === conn : key === `${conn} ${event.frame}`
    for (const [key, sent] of open) {
      if (!isEnded(key, sent)) continue
      ms.push(event.tm - sent.tm)
      open.delete(key)
    }
  }
  return { count: ms.length, p50: quantile(ms, 0.5), p99: quantile(ms, 0.99), longest: Math.max(0, ...ms) }
}

/**
 * Returns the time from the end of a fault until every message that was sent during it, and arrived, was shown, in ms;
 * null if none was shown.
 */
export function recoveryOf(input: ReportInput, fault: FaultRecord): number | null {
  const sent = operationsOf(input).filter(({ from }) => from >= fault.from && from <= fault.to)
  const shown = sent.map(operation => operation.shown).filter(Number.isFinite)
  return shown.length === 0 ? null : Math.max(0, ...shown.map(at => at - fault.to))
}

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
}

/** The outages, longest first, in ms. */
function outagesOf(accepted: readonly EventOf<'ok'>[]): number[] {
  const gaps = accepted.map(({ tm }, at) => tm - (accepted[at - 1]?.tm ?? tm))
  return gaps.filter(gap => gap > outageMs).sort((a, b) => b - a)
}

const ms = (value: number): string => `${Math.round(value)} ms`
const mebibytes = (bytes: number): string => `${Math.round(bytes / 1_048_576)} MiB`
const percent = (share: number): string => `${(share * 100).toFixed(1)}%`

/** Returns the report of a run as text. */
export function describeRun(input: ReportInput, summary: Summary, broken: readonly Broken[]): string {
  const { sent, accepted, refused, unknown, shown, landed, faults, overlap, repeatedPushes, outages, stale } = summary
  const { answers } = summary
  const { before, peak } = input.memory
  return [
    `${sent} sends: ${accepted} accepted, ${refused} refused, ${unknown} unknown; ${shown} messages shown`,
    `${landed} of ${faults} faults landed; ${percent(overlap)} of the sends overlap one`,
    ...describeFaults(input),
    `${percent(repeatedPushes)} of the envelopes were pushed again; ${stale} calls of replaced claims were refused`,
    ...summary.latencies.map(
      ({ phase, what, count, p50, p99, p999 }) =>
        `${phase}: ${what} after p50 ${ms(p50)}, p99 ${ms(p99)}, p999 ${ms(p999)} (${count})`,
    ),
    'faults: frames answered, or their connection ended, ' +
      `after p50 ${ms(answers.p50)}, p99 ${ms(answers.p99)}, at most ${ms(answers.longest)} (${answers.count})`,
    `the largest node held ${mebibytes(Math.max(...before))} before the faults, ` +
      `at most ${mebibytes(Math.max(...peak))} during them`,
    outages.length === 0
      ? 'never a second without an acceptance'
      : `${outages.length} times nothing was accepted for a second or more: ${outages.slice(0, 5).map(ms).join(', ')}`,
    ...broken.flatMap(({ invariant, faults: found }) => [
      `BROKEN ${invariant.name}, ${invariant.title}: ${found.length} times`,
      ...found.slice(0, maxPrinted).map(fault => `  ${fault}`),
    ]),
  ].join('\n')
}

const describeFaults = (input: ReportInput): string[] =>
  input.faults.map(fault => {
    const { name, from, to, landed, error } = fault
    const since = (tm: number) => ((tm - input.phases.load) / 1_000).toFixed(1)
    const recovery = recoveryOf(input, fault)
    const after = recovery === null ? '' : `; messages sent during it were all shown ${ms(recovery)} after its end`
    return `  ${since(from)}–${since(to)} s ${name}: ${landed ?? error ?? 'did not land'}${after}`
  })
