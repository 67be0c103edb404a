import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { nodeEndingWithParent } from '../../tools/processes.ts'
import type { Owner } from './system.ts'

const peers = fileURLToPath(new URL('../peers/', import.meta.url))

/** Starts a server of `bench/peers`, which prints its port. Its owner ends it. */
export async function startPeer(owner: Owner, file: string, env: Record<string, string> = {}) {
  const child = spawn(...nodeEndingWithParent(file), {
    cwd: peers,
    env: { PATH: process.env.PATH, NODE_ENV: 'production', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  owner.teardown(async () => {
    child.kill('SIGKILL')
    await exited
  })
  const [line] = await Promise.race([once(createInterface(child.stdout), 'line'), exited])
  const ready: unknown = JSON.parse(String(line))
  if (typeof ready !== 'object' || ready === null || !('port' in ready)) throw new Error(`${file} did not start`)
  return { port: Number(ready.port), pid: child.pid ?? 0 }
}
