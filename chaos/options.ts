import { parseArgs } from 'node:util'
import { type FaultName, faultNames } from './faults/names.ts'
import { type Guard, guardRemovals, guards } from './guard-removals.ts'

export type ChaosOptions = {
  faults: readonly FaultName[]
  /** How long faults happen, in ms. */
  faultsMs: number
  seed: number
  agents: number
  /** Messages per second of one agent. */
  rate: number
  guard: Guard | undefined
  /** The directory for histories and logs of a failed run. */
  keep: string
}

export class UsageError extends Error {
  override readonly name = 'UsageError'
}

export const usage = `Usage: npm run chaos -- [options]

Runs three nodes, Redis, fault proxies on both sides of the nodes, and agents that write to each other; injects faults,
lets everything heal and drain, and checks 17 invariants.
Exit code 0: they hold. 1: one is broken. 2: wrong usage. 3: unknown, because too little happened.

  --faults LIST   comma-separated, or "all" (default; with --break, the faults that reveal the missing guard):
                  ${faultNames.join(', ')}
  --minutes N     how long faults happen (default 1)
  --seed N        repeats the same choice of faults and load (default: a new seed, printed)
  --agents N      agents that write to each other (default 20)
  --rate N        messages per second of each agent (default 2)
  --break GUARD   removes a guard, to show that the run then fails: ${guards.join(', ')}
  --keep DIR      the directory for histories and logs of a failed run (default: chaos-failures)`

/** @throws {UsageError} */
export function readOptions(args: readonly string[]): ChaosOptions {
  const values = parse(args)
  const guard = readGuard(values.break)
  return {
    faults: values.faults === undefined && guard ? guardRemovals[guard].shownBy : readFaults(values.faults ?? 'all'),
    faultsMs: readNumber('minutes', values.minutes ?? '1', 0.1, 600) * 60_000,
    seed: readNumber('seed', values.seed ?? String(Date.now() % 1_000_000), 0, 2 ** 31),
    agents: readNumber('agents', values.agents ?? '20', 2, 1_000),
    rate: readNumber('rate', values.rate ?? '2', 0.01, 1_000),
    guard,
    keep: values.keep ?? 'chaos-failures',
  }
}

function parse(args: readonly string[]) {
  const text = { type: 'string' } as const
  try {
    const options = { faults: text, minutes: text, seed: text, agents: text, rate: text, break: text, keep: text }
    return parseArgs({ args: [...args], options, strict: true }).values
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

function readNumber(name: string, text: string, min: number, max: number): number {
  const number = Number(text)
  if (text.trim() !== '' && number >= min && number <= max) return number
  throw new UsageError(`--${name} must be a number from ${min} to ${max}, not "${text}"`)
}

function readFaults(text: string): FaultName[] {
  if (text === 'all') return [...faultNames]
  return text.split(',').map(name => {
    const known = faultNames.find(each => each === name.trim())
    if (known) return known
    throw new UsageError(`--faults: there is no "${name}"; there are ${faultNames.join(', ')}`)
  })
}

function readGuard(text: string | undefined): Guard | undefined {
  if (text === undefined) return undefined
  const known = guards.find(each => each === text)
  if (known) return known
  throw new UsageError(`--break: there is no guard "${text}"; there are ${guards.join(', ')}`)
}
