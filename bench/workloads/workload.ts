import type { Slice } from '../load.ts'
import { median } from '../statistics.ts'
import type { Owner, Running } from '../systems/system.ts'
import { mebibyte, redisBytes, serverBytes } from '../usage.ts'

/** The amount of work: `runs` slices of `seconds` each. Results are medians over the slices. */
type Scale = { runs: number; seconds: number; connections: number; users: number; waiting: number }

export const fullScale: Scale = { runs: 5, seconds: 4, connections: 10_000, users: 1_000_000, waiting: 100_000 }
export const quickScale: Scale = { runs: 1, seconds: 1, connections: 1_000, users: 10_000, waiting: 5_000 }

/** The measured numbers of one system, by name and unit. */
export type Row = { system: string; values: Record<string, number> }
/** A target of the project: `value` must be at most, or at least, `bound`. */
export type Bar = { text: string; value: number; bound: number; isHolding: boolean }
export type Result = { workload: string; rows: Row[]; bars: Bar[] }

/** `against` is the directory of another build of this project, which is measured in turn with this one. */
export type Context = { owner: Owner; scale: Scale; progress(text: string): void; against?: string | undefined }
export type Workload = { name: string; what: string; run(context: Context): Promise<Result> }

export const atMost = (text: string, value: number, bound: number): Bar => ({
  text: `${text} ≤ ${bound}`,
  value,
  bound,
  isHolding: value <= bound,
})
export const atLeast = (text: string, value: number, bound: number): Bar => ({
  text: `${text} ≥ ${bound}`,
  value,
  bound,
  isHolding: value >= bound,
})

/** Instances of each compared build: the memory that a process gets changes its speed by some percent. */
export const comparedInstances = 3
/** The most CPU time that a change may add: compared with another build, in one run. */
const maxAdded = 1.03

/** The bar of a comparison with another build; none without one. */
export function againstBefore(now: Row | undefined, before: Row | undefined): Bar[] {
  return before ? [atMost('CPU ÷ the other build', valueIn(now, 'CPU µs') / valueIn(before, 'CPU µs'), maxAdded)] : []
}

/** Medians over slices, and the resident memory after them. CPU time is in µs per message. */
export function summarize(system: Running, slices: readonly Slice[]): Row {
  const of = (pick: (slice: Slice) => number) => median(slices.map(pick))
  const server = of(({ usage, messages }) => usage.server / messages)
  const redis = of(({ usage, messages }) => usage.redis / messages)
  return {
    system: system.name,
    values: {
      'messages/s': of(({ messages, seconds }) => messages / seconds),
      'p50 ms': of(({ p50 }) => p50),
      'p99 ms': of(({ p99 }) => p99),
      'server CPU µs': server,
      'Redis CPU µs': redis,
      'CPU µs': of(({ usage, messages }) => (usage.server + usage.redis) / messages),
      'server MiB': serverBytes(system) / mebibyte,
      'Redis MiB': redisBytes(system) / mebibyte,
    },
  }
}

export const valueIn = (row: Row | undefined, name: string): number => row?.values[name] ?? Number.NaN
