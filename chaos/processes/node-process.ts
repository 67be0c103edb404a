import { openSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { residentBytes } from '../../bench/usage.ts'
import { type Ending, Program } from './program.ts'

type NodeProcessOptions = {
  script: string
  port: number
  /** The address of the node's own proxy. */
  redisUrl: string
  log: string
  audit: string
  stallMs: number
}

/** Time for a node to start while Redis may be out of reach, in ms. */
const startTimeoutMs = 120_000
const probeMs = 100

/** A node with a fixed port and a process that is replaced after each end. */
export class NodeProcess {
  readonly port: number
  readonly #options: NodeProcessOptions
  #program: Program | undefined
  /** Unexpected ends of the process. */
  readonly crashes: string[] = []
  #isExpected = false

  constructor(options: NodeProcessOptions) {
    this.port = options.port
    this.#options = options
  }

  /** Starts the node, with retries, and waits until it answers. @throws {Error} after two minutes. */
  async start(): Promise<void> {
    const deadline = Date.now() + startTimeoutMs
    while (Date.now() < deadline) {
      const program = this.#run()
      if (await this.#answers(program, deadline)) return this.#watch(program)
      await program.kill()
    }
    throw new Error(`the node on port ${this.port} does not start; see ${this.#options.log}`)
  }

  get pid(): number {
    return this.#program?.pid ?? 0
  }

  get isRunning(): boolean {
    return this.#program?.isRunning ?? false
  }

  signal(signal: NodeJS.Signals): void {
    this.#program?.signal(signal)
  }

  /** SIGKILL. */
  async kill(): Promise<void> {
    this.#isExpected = true
    await this.#program?.kill()
  }

  /** Sends SIGTERM and returns how the process ended and after how many ms. An exit code other than 0 is a crash. */
  async stop(): Promise<Ending & { ms: number }> {
    this.#isExpected = true
    const since = Date.now()
    this.#program?.signal('SIGTERM')
    const ending = (await this.#program?.ended) ?? { code: null, signal: null }
    const ms = Date.now() - since
    if (ending.code !== 0)
      this.crashes.push(`a node ended after SIGTERM with ${ending.code ?? ending.signal} after ${ms} ms`)
    return { ...ending, ms }
  }

  /** Resident memory, in bytes; 0 if there is no process. */
  get memoryBytes(): number {
    return this.isRunning ? residentBytes(this.pid) : 0
  }

  #run(): Program {
    const { script, port, redisUrl, log, audit, stallMs } = this.#options
    const output = openSync(log, 'a')
    const program = new Program({
      script,
      env: {
        PORT: String(port),
        REDIS_URL: redisUrl,
        LOG_LEVEL: 'info',
        CHAOS_AUDIT: audit,
        CHAOS_STALL_MS: String(stallMs),
      },
      stdout: output,
      stderr: output,
    })
    this.#program = program
    return program
  }

  async #answers(program: Program, deadline: number): Promise<boolean> {
    while (program.isRunning && Date.now() < deadline) {
      const live = await fetch(`http://127.0.0.1:${this.port}/health/live`).catch(() => undefined)
      if (live?.ok) return true
      await sleep(probeMs)
    }
    return false
  }

  #watch(program: Program): void {
    this.#isExpected = false
    void program.ended.then(({ code, signal }) => {
      if (!this.#isExpected) this.crashes.push(`the node on port ${this.port} ended by itself: ${code ?? signal}`)
    })
  }
}
