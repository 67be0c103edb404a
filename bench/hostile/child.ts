import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { nodeEndingWithParent } from '../../tools/processes.ts'
import type { Owner } from '../systems/system.ts'

/** A program of this directory in its own process, so that its cost is not measured as the node's. */
type Child = {
  /** Returns the next line that it prints. */
  line(): Promise<string>
  end(): Promise<void>
}

export function startChild(owner: Owner, file: string, ...args: string[]): Child {
  const path = fileURLToPath(new URL(file, import.meta.url))
  const child = spawn(...nodeEndingWithParent('--import=tsx', path, ...args), { stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  const end = async () => {
    child.kill('SIGKILL')
    await exited
  }
  owner.teardown(end)
  return { line: async () => String((await lines.next()).value), end }
}
