import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { nodeEndingWithParent } from '../../tools/processes.ts'

type ProgramOptions = {
  script: string
  args?: readonly string[]
  env?: Readonly<Record<string, string>>
  /** File descriptors or `pipe`. */
  stdin?: 'pipe' | 'ignore'
  stdout: 'pipe' | number
  stderr: number
}

/** How a process ended: with an exit code or by a signal. */
export type Ending = { code: number | null; signal: NodeJS.Signals | null }

/** A Node program in its own process. It inherits only PATH and HOME from the environment. */
export class Program {
  readonly child: ChildProcess
  readonly ended: Promise<Ending>

  constructor({ script, args = [], env = {}, stdin = 'ignore', stdout, stderr }: ProgramOptions) {
    this.child = spawn(...nodeEndingWithParent(script, ...args), {
      env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
      stdio: [stdin, stdout, stderr],
    })
    this.ended = once(this.child, 'exit').then(([code, signal]) => ({ code, signal }))
    this.child.stdin?.on('error', () => {})
  }

  get pid(): number {
    return this.child.pid ?? 0
  }

  get isRunning(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal)
  }

  /** Kills the process. SIGCONT comes first, because a stopped process handles no other signal. */
  async kill(): Promise<Ending> {
    if (this.isRunning) {
      this.child.kill('SIGCONT')
      this.child.kill('SIGKILL')
    }
    return this.ended
  }
}
