import type { FaultRecord } from '../faults/run-faults.ts'
import type { AuditEvent, HistoryEvent } from '../history/events.ts'
import type { Loss } from '../processes/redis-server.ts'
import type { Dump, InboxDump } from './dump.ts'

/** Everything that a run left behind. Times are monotonic ms. */
export type ReportInput = {
  /** In the order of time. */
  history: readonly HistoryEvent[]
  audit: readonly AuditEvent[]
  /** Of the time of faults. */
  dumps: readonly InboxDump[]
  /** At the end, when everything has drained. */
  final: Dump
  losses: readonly Loss[]
  faults: readonly FaultRecord[]
  phases: Phases
  /** Resident memory of the nodes, bytes. */
  memory: { before: readonly number[]; peak: readonly number[]; after: readonly number[] }
  /** Processes that ended though nobody asked, or not as they should. */
  crashes: readonly string[]
  /** Where the canary was found. */
  leaks: readonly string[]
}

/** When the load began, the first fault, the end of all faults, the end of the drain (null: never), and of the run. */
export type Phases = { load: number; storm: number; healed: number; drained: number | null; end: number }

/** What must hold, and how it was broken: nothing where it was not. */
export type Invariant = { name: string; title: string; check(input: ReportInput): string[] }

/** A number that was made of Redis' clock: `seq` and epochs are its milliseconds times 1024. */
const wallOf = (number: number): number => number / 1_024

/** Whether a number belongs to a write that Redis lost. */
export const isLost = (losses: readonly Loss[], number: number): boolean =>
  losses.some(({ from, to }) => wallOf(number) >= from.wall && wallOf(number) <= to.wall + 1)

/** Groups in the order of their first member. */
export function groupBy<Item>(items: Iterable<Item>, keyOf: (item: Item) => string): Map<string, Item[]> {
  const groups = new Map<string, Item[]>()
  for (const item of items) {
    const group = groups.get(keyOf(item))
    if (group) group.push(item)
    else groups.set(keyOf(item), [item])
  }
  return groups
}
