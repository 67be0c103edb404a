import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { endingWithParent } from '../../tools/processes.ts'
import { median } from '../statistics.ts'
import { startAimessage } from '../systems/aimessage.ts'
import type { Owner } from '../systems/system.ts'
import { atMost, type Workload } from './workload.ts'

const program = fileURLToPath(new URL('../../bin/aimessage.js', import.meta.url))
const runs = 10

/** A command as a user runs it. `requests` go to its standard input, each after the answer to the previous one. */
type Command = { name: string; args: readonly string[]; bound: number; requests?: readonly object[] }

const handshake = [
  {
    jsonrpc: '2.0',
    id: 1,
    method: 'initialize',
    params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'bench', version: '1' } },
  },
  { jsonrpc: '2.0', id: 2, method: 'tools/list' },
]

const commands: readonly Command[] = [
  { name: '--version', args: [program, '--version'], bound: 2 },
  { name: 'whoami', args: [program, 'whoami', '--agent', 'alice'], bound: 4 },
  { name: 'send', args: [program, 'send', 'bob', 'hello', '--agent', 'alice'], bound: 8 },
  { name: 'MCP handshake', args: [program, 'mcp', '--agent', 'alice'], bound: 10, requests: handshake },
]

/** What a command costs before it does anything: CPU time of the whole process, next to a Node that runs nothing. */
export const start: Workload = {
  name: 'start',
  what: `commands of the built program, CPU (user and system), medians of ${runs}; × is the multiple of \`node -e 0\``,
  run: async ({ owner, progress }) => {
    const env = await openWorld(owner)
    const costs = new Map<string, number[]>()
    const empty: Command = { name: 'node -e 0', args: ['-e', '0'], bound: 1 }
    // By rounds, so that other work on the machine meets all of them.
    for (let round = 1; round <= runs; round += 1) {
      progress(`round ${round} of ${runs}`)
      for (const command of [empty, ...commands]) {
        costs.set(command.name, [...(costs.get(command.name) ?? []), await measure(command, env)])
      }
    }
    const costOf = ({ name }: Command) => median(costs.get(name) ?? [])
    const multipleOf = (command: Command) => costOf(command) / costOf(empty)
    return {
      workload: 'start',
      rows: [empty, ...commands].map(command => ({
        system: command.name,
        values: { 'CPU ms': costOf(command), '×': multipleOf(command) },
      })),
      bars: commands.map(command => atMost(command.name, multipleOf(command), command.bound)),
    }
  },
}

type Environment = Record<string, string>

/** A node, and two agents that know each other. */
async function openWorld(owner: Owner): Promise<Environment> {
  const node = await startAimessage(owner)
  const home = await mkdtemp(join(tmpdir(), 'aimessage-start-'))
  owner.teardown(() => rm(home, { recursive: true, force: true }))
  const env = { AIMESSAGE_SERVER: node.urls[0]?.replace(/\/ws$/, '') ?? '', AIMESSAGE_HOME: home }
  for (const name of ['alice', 'bob']) {
    await measure({ name, args: [program, 'register', name, '--agent', name], bound: 0 }, env)
  }
  await measure({ name: 'send', args: [program, 'send', 'bob', 'hello', '--agent', 'alice'], bound: 0 }, env)
  return env
}

/** CPU time of one run, ms: bash reports what its child used. */
async function measure({ name, args, requests = [] }: Command, env: Environment): Promise<number> {
  const timed = ['-c', 'TIMEFORMAT="cpu %3U %3S"; time "$@"', 'bash', process.execPath, ...args]
  const child = spawn(...endingWithParent('bash', timed), {
    env: { PATH: process.env.PATH, HOME: '/nonexistent', ...env },
  })
  const closed = once(child, 'close')
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', text => {
    errors += text
  })
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  for (const request of requests) {
    child.stdin.write(`${JSON.stringify(request)}\n`)
    await answers.next()
  }
  child.stdin.end()
  for await (const _line of { [Symbol.asyncIterator]: () => answers });
  const [code] = await closed
  const [, user, system] = /cpu ([\d.]+) ([\d.]+)/.exec(errors) ?? []
  if (code !== 0 || system === undefined) throw new Error(`${name} ended with ${code}: ${errors}`)
  return (Number(user) + Number(system)) * 1_000
}
