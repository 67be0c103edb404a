import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { endingWithParent } from '../tools/processes.ts'
import type { Owner } from '../tools/teardown.ts'

/** Set in the process that runs inside the namespace: its HOME. */
export const insideVariable = 'AIMESSAGE_HOSTS_HOME'

/** True if nothing but loopback can be reached from this process. */
export const isIsolated = (): boolean =>
  process.env[insideVariable] !== undefined && Object.keys(networkInterfaces()).every(name => name === 'lo')

/** Loopback is down in a new namespace. */
export function startLoopback(): void {
  const { status, error } = spawnSync('ip', ['link', 'set', 'lo', 'up'], { stdio: 'inherit' })
  if (status !== 0) throw new Error('loopback cannot be started: this needs "ip" of iproute2', { cause: error })
}

/**
 * Runs this program again, in a network namespace with loopback alone, with a clean environment and an empty home: an
 * agent host reaches no service and sees no credential of this machine. Resolves with the exit code.
 */
export async function runIsolated(owner: Owner, args: readonly string[]): Promise<number> {
  const home = await mkdtemp(join(tmpdir(), 'aimessage-hosts-'))
  owner.teardown(() => rm(home, { recursive: true, force: true }))
  const asRoot = process.getuid?.() === 0
  const program = [process.execPath, '--import=tsx', fileURLToPath(new URL('main.ts', import.meta.url)), ...args]
  const [command, allArgs] = endingWithParent('unshare', [asRoot ? '-n' : '-rn', '--', ...program])
  const env = {
    PATH: process.env.PATH,
    LANG: 'C.UTF-8',
    TERM: 'xterm-256color',
    HOME: home,
    [insideVariable]: home,
  }
  const child = spawn(command, allArgs, { env, stdio: 'inherit' })
  const [code] = await once(child, 'exit')
  return code ?? 1
}
