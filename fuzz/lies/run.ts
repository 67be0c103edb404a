import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { Owner } from '../../tools/teardown.ts'
import { lieToCommands } from './commands.ts'
import { Findings, type Round } from './findings.ts'
import { lieToLibrary } from './library.ts'
import { lieToMcp } from './mcp.ts'
import { startLyingWorld } from './world.ts'

export const victims = ['library', 'cli', 'mcp'] as const
export type Victim = (typeof victims)[number]

export type LiesOptions = {
  lies: number
  seed: number
  victims: readonly Victim[]
  /** Pairs of library clients at once. */
  pairs?: number
}

/** Their time-outs overlap; more would only wait for the processor. */
const defaultPairs = 24
export type LiesReport = {
  lies: number
  outcomes: ReadonlyMap<string, number>
  /** The violations; each line contains its seed and the last lies before it. */
  faults: readonly string[]
  faultCount: number
  /** The heap of this process, in bytes: after the first round of library clients, and at the end. */
  warmBytes: number
  endBytes: number
}

/** The part of the lies that each victim gets. A process takes a thousand times as long as a call. */
const shares: Record<Victim, number> = { library: 8, cli: 1, mcp: 1 }
const rounds: Record<Victim, Round> = { library: lieToLibrary, cli: lieToCommands, mcp: lieToMcp }

/**
 * Runs rounds against each victim until it was lied to often enough. Round `n` has the seed `seed + n`: a run with that
 * seed begins with the same round.
 */
export async function lie(
  owner: Owner,
  { lies, seed, victims: chosen, pairs = defaultPairs }: LiesOptions,
  progress: (text: string) => void = () => {},
): Promise<LiesReport> {
  const world = await startLyingWorld(owner, seed)
  const findings = new Findings()
  const stopWatching = watchProcess(findings)
  const total = chosen.reduce((sum, victim) => sum + shares[victim], 0)
  let told = 0
  let warmBytes = 0
  let reported = 0
  const lieTo = async (victim: Victim) => {
    const wanted = (lies * shares[victim]) / total
    for (let round = 0, toldHere = 0; toldHere < wanted; round += 1) {
      const count = await rounds[victim]({ owner, world, findings, seed: seed + round, pairs })
      toldHere += count
      told += count
      if (warmBytes === 0) warmBytes = liveBytes()
      for (const fault of findings.faults.slice(reported)) progress(fault)
      reported = findings.faults.length
      progress(`${victim}: seed ${seed + round}, ${told} lies, ${findings.faultCount} faults`)
    }
  }
  try {
    // The victims spend most of the time in time-outs, so they take turns with the processor.
    await Promise.all(chosen.map(lieTo))
  } finally {
    stopWatching()
  }
  const { outcomes, faults, faultCount } = findings
  return { lies: told, outcomes, faults, faultCount, warmBytes, endBytes: liveBytes() }
}

/** An error that nobody handles would end the process of an application. */
function watchProcess(findings: Findings): () => void {
  const report = (error: unknown) =>
    findings.fault('an unhandled error', error instanceof Error ? (error.stack ?? error.message) : String(error))
  process.on('unhandledRejection', report)
  process.on('uncaughtException', report)
  return () => {
    process.off('unhandledRejection', report)
    process.off('uncaughtException', report)
  }
}

/** Returns the size of the heap without garbage, in bytes. */
function liveBytes(): number {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
  return process.memoryUsage().heapUsed
}
