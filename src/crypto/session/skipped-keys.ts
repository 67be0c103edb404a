import { equalBytes } from '../../util/bytes.ts'
import { cryptoLimits } from '../limits.ts'

/** Message keys of one ratchet key that were skipped at the same time. */
export type SkippedRun = {
  readonly dh: Uint8Array
  readonly skippedAtMs: number
  readonly keys: readonly { readonly n: number; readonly key: Uint8Array }[]
}
/** Oldest run first. Runs are immutable and shared between states, so that a new state does not copy them. */
export type SkippedKeys = readonly SkippedRun[]

export const countSkipped = (skipped: SkippedKeys): number => skipped.reduce((sum, run) => sum + run.keys.length, 0)

/** Drops runs older than the mailbox lifetime: their messages can no longer arrive. */
export function withoutExpired(skipped: SkippedKeys, nowMs: number, lifetimeMs: number): SkippedKeys {
  const live = skipped.filter(run => nowMs - run.skippedAtMs <= lifetimeMs)
  return live.length === skipped.length ? skipped : live
}

export function findSkipped(skipped: SkippedKeys, dh: Uint8Array, n: number): Uint8Array | undefined {
  for (const run of skipped) {
    const found = equalBytes(run.dh, dh) && run.keys.find(entry => entry.n === n)
    if (found) return found.key
  }
  return undefined
}

export function withoutSkipped(skipped: SkippedKeys, dh: Uint8Array, n: number): SkippedKeys {
  return skipped.flatMap(run => {
    if (!equalBytes(run.dh, dh)) return [run]
    const keys = run.keys.filter(entry => entry.n !== n)
    return keys.length > 0 ? [{ ...run, keys }] : []
  })
}

/** Adds a run and drops the oldest keys above the session's limit. */
export function withSkipped(skipped: SkippedKeys, run: SkippedRun): SkippedKeys {
  if (run.keys.length === 0) return skipped
  const runs = [...skipped, run]
  let excess = countSkipped(runs) - cryptoLimits.maxSkippedPerSession
  return excess <= 0
    ? runs
    : runs.flatMap(old => {
        const keys = old.keys.slice(Math.max(0, excess))
        excess -= old.keys.length - keys.length
        return keys.length > 0 ? [{ ...old, keys }] : []
      })
}
