import { openSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Signal } from '../../src/util/signal.ts'
import type { LoadCommand, LoadOptions, LoadReport } from '../load/load-options.ts'
import { Program } from './program.ts'

type LoadProcessOptions = Omit<LoadOptions, 'inc'> & {
  script: string
  log: string
  /** The number of the first process. Default: 1. */
  firstInc?: number
}

/** A group of agents and its process, which is replaced after a kill. */
export class LoadProcess {
  readonly #options: LoadProcessOptions
  readonly #changed = new Signal()
  #program: Program | undefined
  #reports: LoadReport[] = []
  #inc = 0
  #isStopped = false
  #isStarted = false

  constructor(options: LoadProcessOptions) {
    this.#options = options
    this.#inc = (options.firstInc ?? 1) - 1
  }

  get agents(): string[] {
    return this.#options.agents.map(({ name }) => name)
  }

  /** Starts the next process in the phase of the previous one. Resolves when all its agents are registered. */
  async start(signal?: AbortSignal): Promise<void> {
    const { script, log, firstInc: _, ...load } = this.#options
    this.#inc += 1
    this.#reports = []
    const args: LoadOptions = { ...load, inc: this.#inc }
    const program = new Program({
      script,
      args: [JSON.stringify(args)],
      stdin: 'pipe',
      stdout: 'pipe',
      stderr: openSync(log, 'a'),
    })
    this.#program = program
    if (program.child.stdout) {
      createInterface({ input: program.child.stdout }).on('line', line => this.#reported(program, JSON.parse(line)))
    }
    await this.#until('ready', signal)
    if (this.#isStarted) this.#tell({ do: 'go' })
    if (this.#isStopped) this.#tell({ do: 'stop' })
  }

  go(): void {
    this.#isStarted = true
    this.#tell({ do: 'go' })
  }

  /** Stops sending; resolves when each send has its answer. */
  async stop(signal: AbortSignal): Promise<void> {
    this.#isStopped = true
    this.#tell({ do: 'stop' })
    await this.#until('idle', signal)
  }

  /** Lets a second client of one of its agents listen for `ms`. */
  async takeOver(agent: string, ms: number): Promise<void> {
    this.#tell({ do: 'take-over', agent, ms })
    await this.#until('taken-over', AbortSignal.timeout(ms + 30_000)).catch(() => {})
    this.#reports = this.#reports.filter(({ is }) => is !== 'taken-over')
  }

  shiftClock(ms: number): void {
    this.#tell({ do: 'shift-clock', ms })
  }

  /** The directory of an agent's state. */
  stateOf(agent: string): string {
    return join(this.#options.directory, agent)
  }

  /** A process of one agent alone, with a state of its own in `directory`. It is not started yet. */
  copyOf(agent: string, directory: string, firstInc: number): LoadProcess {
    const agents = this.#options.agents.filter(({ name }) => name === agent)
    return new LoadProcess({ ...this.#options, agents, directory, firstInc })
  }

  async kill(): Promise<void> {
    await this.#program?.kill()
  }

  /** Asks the process to end, and kills it after 10 s. */
  async quit(): Promise<void> {
    const program = this.#program
    if (!program) return
    this.#tell({ do: 'quit' })
    const timer = setTimeout(() => program.kill(), 10_000)
    await program.ended
    clearTimeout(timer)
  }

  #tell(command: LoadCommand): void {
    this.#program?.child.stdin?.write(`${JSON.stringify(command)}\n`)
  }

  #reported(program: Program, report: LoadReport): void {
    if (program !== this.#program) return
    this.#reports.push(report)
    this.#changed.notify()
  }

  /** @throws the signal's reason */
  async #until(is: LoadReport['is'], signal?: AbortSignal): Promise<void> {
    for (;;) {
      const { version } = this.#changed
      if (this.#reports.some(report => report.is === is)) return
      await this.#changed.after(version, signal)
    }
  }
}
