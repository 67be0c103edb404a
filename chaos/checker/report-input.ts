import type { FaultRecord } from '../faults/run-faults.ts'
import type { Copy } from '../history/copies.ts'
import type { AuditEvent, HistoryEvent } from '../history/events.ts'
import type { Loss } from '../processes/redis-server.ts'
import type { Dump, InboxDump } from './dump.ts'

/** The data of a finished run, for the checks and the report. Times are monotonic, in ms. */
export type ReportInput = {
  /** Sorted by time. */
  history: readonly HistoryEvent[]
  audit: readonly AuditEvent[]
  /** Taken during the faults. */
  dumps: readonly InboxDump[]
  /** Taken at the end, after the drain. */
  final: Dump
  losses: readonly Loss[]
  /** The copies of agents' states that ran. */
  copies: readonly Copy[]
  faults: readonly FaultRecord[]
  phases: Phases
  /** Resident memory of the nodes, in bytes. */
  memory: { before: readonly number[]; peak: readonly number[]; after: readonly number[] }
  /** Processes that ended unexpectedly, or with an error. */
  crashes: readonly string[]
  /** The files that contain the canary. */
  leaks: readonly string[]
}

/** The start of the load and of the faults, the end of the faults, of the drain (null: never) and of the run. */
export type Phases = { load: number; firstFault: number; healed: number; drained: number | null; end: number }

/** A statement that must hold. `check` returns its violations. */
export type Invariant = { name: string; title: string; check(input: ReportInput): string[] }

/** Returns the time of a `seq` or epoch: they are the milliseconds of the clock of Redis times 1024. */
const wallOf = (number: number): number => number / 1_024

/** Returns true if a `seq` or epoch belongs to a write that Redis lost. */
export const isLost = (losses: readonly Loss[], number: number): boolean =>
  losses.some(({ from, to }) => wallOf(number) >= from.wall && wallOf(number) <= to.wall + 1)

/** Groups items by key, in the order of each group's first item. */
export function groupBy<Item>(items: Iterable<Item>, keyOf: (item: Item) => string): Map<string, Item[]> {
  const groups = new Map<string, Item[]>()
  for (const item of items) {
    const group = groups.get(keyOf(item))
    if (group) group.push(item)
    else groups.set(keyOf(item), [item])
  }
  return groups
}
