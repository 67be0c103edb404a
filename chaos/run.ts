import { setTimeout as sleep } from 'node:timers/promises'
import type { Owner } from '../tools/teardown.ts'
import { type Dump, dumpInboxes, type InboxDump } from './checker/dump.ts'
import { findLeaks } from './checker/leaks.ts'
import type { Phases, ReportInput } from './checker/report-input.ts'
import { monotonicMs } from './clock.ts'
import { type FaultRecord, runFaults } from './faults/run-faults.ts'
import { HistoryReader } from './history/history-reader.ts'
import type { ChaosOptions } from './options.ts'
import { startWorld, type World } from './world.ts'

/** The time of load without faults, before the first and after the last fault, in ms. */
const calmMs = 5_000
/** Longer than the invariant allows, to distinguish a late drain from no drain, in ms. */
const drainTimeoutMs = 150_000
const sampleEveryMs = 3_000
const pollMs = 200

/** The progress of a run. */
export type Progress = {
  phase: 'starting' | 'calm' | 'faults' | 'draining' | 'checking'
  sent: number
  shown: number
  missing: number
  faults: readonly FaultRecord[]
}

/** Runs once: load, faults, healing, drain. `owner` ends everything that the run starts. */
export async function run(
  owner: Owner,
  directory: string,
  options: ChaosOptions,
  tell: (progress: Progress) => void,
): Promise<ReportInput> {
  const run = new Run(await startWorld(owner, directory, options), options, tell)
  return run.execute()
}

class Run {
  readonly #world: World
  readonly #options: ChaosOptions
  readonly #tell: (progress: Progress) => void
  readonly #reader: HistoryReader
  readonly #dumps: InboxDump[] = []
  readonly #faults: FaultRecord[] = []
  /** The peak memory of each node during the faults, in bytes. */
  #peak: number[] = []
  readonly #faultsOver = new AbortController()

  constructor(world: World, options: ChaosOptions, tell: (progress: Progress) => void) {
    this.#world = world
    this.#options = options
    this.#tell = tell
    this.#reader = new HistoryReader(world.files.histories, world.files.audits)
  }

  async execute(): Promise<ReportInput> {
    const { loads, places, redis, canary, copies, files } = this.#world
    this.#report('starting')
    await Promise.all(loads.map(load => load.start(AbortSignal.timeout(120_000))))
    const load = monotonicMs()
    for (const each of loads) each.go()
    await this.#reportDuring('calm', sleep(calmMs))
    const before = this.#memory()
    this.#peak = before
    const firstFault = monotonicMs()
    const sampling = this.#sampleRegularly()
    await this.#reportDuring('faults', this.#runFaults())
    await this.#heal()
    const healed = monotonicMs()
    await this.#reportDuring('calm', sleep(calmMs))
    this.#faultsOver.abort()
    await sampling
    const { at: drained, dump: final } = await this.#drain()
    const after = this.#memory()
    await this.#end()
    this.#reader.update()
    this.#report('checking')
    const phases: Phases = { load, firstFault, healed, drained, end: monotonicMs() }
    return {
      history: this.#reader.history,
      audit: this.#reader.audit,
      dumps: this.#dumps,
      final,
      losses: redis.losses,
      copies,
      faults: this.#faults,
      phases,
      memory: { before, peak: this.#peak, after },
      crashes: places.flatMap(({ node }) => node.crashes),
      leaks: findLeaks([redis.process.dir, ...files.logs, ...files.audits], canary),
    }
  }

  #runFaults(): Promise<void> {
    const { faults: names, seed, faultsMs: durationMs } = this.#options
    return runFaults({ world: this.#world, names, seed, durationMs, records: this.#faults })
  }

  /** Heals what faults have left behind. */
  async #heal(): Promise<void> {
    const { front, places, redis } = this.#world
    front.set({ kind: 'pass' })
    for (const { node, redisProxy } of places) {
      redisProxy.set({ kind: 'pass' })
      node.signal('SIGCONT')
    }
    if (!redis.isUp) await redis.start()
    await Promise.all(places.map(({ node }) => (node.isRunning ? undefined : node.start())))
  }

  /**
   * Waits until every accepted message is acknowledged and all inboxes are empty. Returns that time, or null if it was
   * too late, and a dump of Redis.
   */
  async #drain(): Promise<{ at: number | null; dump: Dump }> {
    const { loads, redis, users } = this.#world
    const late = AbortSignal.timeout(drainTimeoutMs)
    const stopped = Promise.all(loads.map(load => load.stop(late))).catch(() => {})
    const empty = await this.#reportDuring(
      'draining',
      stopped.then(() => this.#untilEmpty(late)),
    )
    if (empty) return { at: monotonicMs(), dump: empty }
    return { at: null, dump: await dumpInboxes(redis.process.url, users) }
  }

  async #untilEmpty(late: AbortSignal): Promise<Dump | undefined> {
    while (!late.aborted) {
      this.#reader.update()
      const dump = this.#reader.missingApartFrom(this.#world.copies) === 0 ? await this.#dump() : undefined
      if (dump?.inboxes.every(({ entries }) => entries.length === 0)) return dump
      await sleep(pollMs)
    }
    return undefined
  }

  #dump(): Promise<Dump | undefined> {
    const { redis, users } = this.#world
    return dumpInboxes(redis.process.url, users).catch(() => undefined)
  }

  async #sampleRegularly(): Promise<void> {
    while (!this.#faultsOver.signal.aborted) {
      this.#peak = this.#memory().map((bytes, at) => Math.max(bytes, this.#peak[at] ?? 0))
      const dump = this.#world.redis.isUp ? await this.#dump() : undefined
      this.#dumps.push(...(dump?.inboxes ?? []))
      await sleep(sampleEveryMs, undefined, { signal: this.#faultsOver.signal }).catch(() => {})
    }
  }

  /** Ends agents and nodes in the regular way. */
  async #end(): Promise<void> {
    const { loads, places } = this.#world
    await Promise.all(loads.map(load => load.quit()))
    await Promise.all(places.map(({ node }) => node.stop()))
  }

  #memory(): number[] {
    return this.#world.places.map(({ node }) => node.memoryBytes)
  }

  async #reportDuring<Result>(phase: Progress['phase'], work: Promise<Result>): Promise<Result> {
    const timer = setInterval(() => this.#report(phase), 1_000)
    try {
      return await work
    } finally {
      clearInterval(timer)
    }
  }

  #report(phase: Progress['phase']): void {
    this.#reader.update()
    this.#tell({ phase, ...this.#reader.counts, faults: this.#faults })
  }
}
