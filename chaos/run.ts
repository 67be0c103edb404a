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

/** Load without faults, at the beginning and after the last fault. */
const calmMs = 5_000
/** Longer than the invariant allows, so that a late drain is told from none. */
const drainTimeoutMs = 90_000
const lookEveryMs = 3_000
const lookMs = 200

/** What a run tells while it goes on. */
export type Progress = {
  phase: 'starting' | 'calm' | 'faults' | 'draining' | 'checking'
  sent: number
  shown: number
  missing: number
  faults: readonly FaultRecord[]
}

/** Runs everything once: load, faults, healing, drain. What it started is ended by `owner`. */
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
  /** Of each node while faults happen, bytes. */
  #peak: number[] = []
  readonly #over = new AbortController()

  constructor(world: World, options: ChaosOptions, tell: (progress: Progress) => void) {
    this.#world = world
    this.#options = options
    this.#tell = tell
    this.#reader = new HistoryReader(world.files.histories, world.files.audits)
  }

  async execute(): Promise<ReportInput> {
    const { loads, places, redis, canary, files } = this.#world
    this.#report('starting')
    await Promise.all(loads.map(load => load.start(AbortSignal.timeout(120_000))))
    const load = monotonicMs()
    for (const each of loads) each.go()
    await this.#during('calm', sleep(calmMs))
    const before = this.#memory()
    this.#peak = before
    const storm = monotonicMs()
    const looking = this.#lookNowAndThen()
    await this.#during('faults', this.#runFaults())
    await this.#heal()
    const healed = monotonicMs()
    await this.#during('calm', sleep(calmMs))
    this.#over.abort()
    await looking
    const { at: drained, dump: final } = await this.#drain()
    const after = this.#memory()
    await this.#end()
    this.#reader.update()
    this.#report('checking')
    const phases: Phases = { load, storm, healed, drained, end: monotonicMs() }
    return {
      history: this.#reader.history,
      audit: this.#reader.audit,
      dumps: this.#dumps,
      final,
      losses: redis.losses,
      faults: this.#faults,
      phases,
      memory: { before, peak: this.#peak, after },
      crashes: places.flatMap(({ node }) => node.crashes),
      leaks: findLeaks([redis.process.dir, ...files.logs, ...files.audits], canary),
    }
  }

  #runFaults(): Promise<void> {
    const { faults: names, seed, stormMs: durationMs } = this.#options
    return runFaults({ world: this.#world, names, seed, durationMs, records: this.#faults })
  }

  /** Whatever a fault has left. */
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

  /** When everything that was accepted is acknowledged and no inbox holds anything (null: not in time), and what Redis held then. */
  async #drain(): Promise<{ at: number | null; dump: Dump }> {
    const { loads, redis, users } = this.#world
    const late = AbortSignal.timeout(drainTimeoutMs)
    const stopped = Promise.all(loads.map(load => load.stop(late))).catch(() => {})
    const empty = await this.#during(
      'draining',
      stopped.then(() => this.#untilEmpty(late)),
    )
    if (empty) return { at: monotonicMs(), dump: empty }
    return { at: null, dump: await dumpInboxes(redis.process.url, users) }
  }

  async #untilEmpty(late: AbortSignal): Promise<Dump | undefined> {
    while (!late.aborted) {
      this.#reader.update()
      const dump = this.#reader.counts.missing === 0 ? await this.#dump() : undefined
      if (dump?.inboxes.every(({ entries }) => entries.length === 0)) return dump
      await sleep(lookMs)
    }
    return undefined
  }

  #dump(): Promise<Dump | undefined> {
    const { redis, users } = this.#world
    return dumpInboxes(redis.process.url, users).catch(() => undefined)
  }

  async #lookNowAndThen(): Promise<void> {
    while (!this.#over.signal.aborted) {
      this.#peak = this.#memory().map((bytes, at) => Math.max(bytes, this.#peak[at] ?? 0))
      const dump = this.#world.redis.isUp ? await this.#dump() : undefined
      this.#dumps.push(...(dump?.inboxes ?? []))
      await sleep(lookEveryMs, undefined, { signal: this.#over.signal }).catch(() => {})
    }
  }

  /** Ends agents and nodes as an operator would. */
  async #end(): Promise<void> {
    const { loads, places } = this.#world
    await Promise.all(loads.map(load => load.quit()))
    await Promise.all(places.map(({ node }) => node.stop()))
  }

  #memory(): number[] {
    return this.#world.places.map(({ node }) => node.memoryBytes)
  }

  async #during<Result>(phase: Progress['phase'], work: Promise<Result>): Promise<Result> {
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
