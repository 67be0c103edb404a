import { cp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type RedisProcess, startRedis } from '../../tools/servers/redis.ts'
import type { Owner } from '../../tools/teardown.ts'
import { monotonicMs } from '../clock.ts'

/** Writes between these two moments were undone. `seq` uses the wall clock, histories the monotonic clock. */
export type Loss = { from: Moment; to: Moment }
type Moment = { tm: number; wall: number }

const now = (): Moment => ({ tm: monotonicMs(), wall: Date.now() })

/** The Redis of a run, and its losses. */
export class RedisServer {
  readonly process: RedisProcess
  readonly losses: Loss[] = []
  #isUp = true

  private constructor(process: RedisProcess) {
    this.process = process
  }

  static async start(owner: Owner): Promise<RedisServer> {
    return new RedisServer(await startRedis(owner))
  }

  /** False while Redis is stopped, paused or killed. */
  get isUp(): boolean {
    return this.#isUp
  }

  async kill(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    this.#isUp = false
    await this.process.kill(signal)
  }

  async start(): Promise<void> {
    await this.process.restart()
    this.#isUp = true
  }

  async pause(): Promise<void> {
    this.#isUp = false
    await this.process.kill('SIGSTOP')
  }

  async resume(): Promise<void> {
    await this.process.kill('SIGCONT')
    this.#isUp = true
  }

  /** Simulates a power failure: all writes made during `meanwhile` are lost. */
  async rollBack(meanwhile: () => Promise<void>): Promise<void> {
    const files = join(this.process.dir, 'appendonlydir')
    const copy = join(this.process.dir, 'snapshot')
    const from = now()
    await cp(files, copy, { recursive: true })
    await meanwhile()
    await this.kill('SIGKILL')
    const to = now()
    await rm(files, { recursive: true })
    await cp(copy, files, { recursive: true })
    await rm(copy, { recursive: true })
    this.losses.push({ from, to })
    await this.start()
  }
}
