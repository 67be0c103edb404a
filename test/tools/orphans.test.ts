import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { temporaryDirectory } from '../../tools/clients/agents.ts'
import { compiledProgram, endingWithParent } from '../../tools/processes.ts'
import { findTool } from '../../tools/require-tool.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const endsWithParent = '--require=./tools/end-with-parent.cjs'
const withinMs = 5_000

/** What runs, and the programs that must be among its descendants before it is killed, with how many of each. */
type Runner = { name: string; program?: string; args: string[]; starts: Record<string, number> }

const runners: Runner[] = [
  {
    name: 'tap',
    args: ['node_modules/tap/dist/esm/run.mjs', 'run', '--timeout=600', 'test/fixtures/processes/endless.test.ts'],
    starts: {
      'redis-server': 1,
      'server/run.js': 1,
      'cli/run.js': 1,
      'agent-main.js': 1,
      'endless.test.ts': 1,
      ...(findTool('chromium') && { '--remote-debugging-pipe': 1 }),
    },
  },
  {
    name: 'chaos',
    args: [endsWithParent, compiledProgram('chaos/main'), '--agents', '2', '--minutes', '5'],
    starts: { 'redis-server': 1, 'node.mjs': 3, 'load.mjs': 2 },
  },
  {
    name: 'npm run chaos',
    program: 'npm',
    args: ['run', 'chaos', '--', '--agents', '2', '--minutes', '5'],
    starts: { 'redis-server': 1, 'node.mjs': 3, 'load.mjs': 2 },
  },
  {
    name: 'fuzz',
    args: [endsWithParent, compiledProgram('fuzz/main')],
    starts: { 'redis-server': 1, 'server/run.js': 1 },
  },
  {
    name: 'hostile',
    args: [endsWithParent, compiledProgram('bench/hostile/main'), '--only', 'abuser'],
    starts: { 'redis-server': 1, 'bin/aimessage.js': 1 },
  },
  {
    name: 'soak',
    args: [endsWithParent, '--import=tsx', 'bench/soak.ts'],
    starts: { 'redis-server': 1 },
  },
]

type Stat = { pid: number; ppid: number; startedAt: string; command: string }

/** Returns all processes of this machine that have not ended. */
function processes(): Stat[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(readProcess)
    .filter(process => process !== undefined)
}

function readProcess(pid: string): Stat | undefined {
  try {
    const [, state, ppid, ...rest] =
      /^\d+ \(.*\) (\S) (\d+) (.*)$/s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? []
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
    if (state === 'Z') return undefined
    return { pid: Number(pid), ppid: Number(ppid), startedAt: rest.join().split(' ')[17] ?? '', command }
  } catch {
    // It ended meanwhile.
    return undefined
  }
}

function descendantsOf(pid: number, all = processes()): Stat[] {
  const children = all.filter(({ ppid }) => ppid === pid)
  return children.flatMap(child => [child, ...descendantsOf(child.pid, all)])
}

const hasStarted = (found: readonly Stat[], starts: Runner['starts']): boolean =>
  Object.entries(starts).every(([text, count]) => found.filter(({ command }) => command.includes(text)).length >= count)

if (process.platform !== 'linux') t.plan(0, 'needs /proc')

for (const { name, program = process.execPath, args, starts } of runners) {
  t.test(`SIGKILL of ${name} leaves none of its processes`, { timeout: 240_000 }, async t => {
    const { PATH, HOME } = process.env
    const cwd = root
    const env = { PATH, HOME, TMPDIR: await temporaryDirectory(t) }
    const runner = spawn(...endingWithParent(program, args), { cwd, env, stdio: 'ignore' })
    const exited = once(runner, 'exit')
    const pid = runner.pid ?? 0
    while (!hasStarted(descendantsOf(pid), starts)) {
      if (runner.exitCode !== null) return t.fail(`${name} ended with ${runner.exitCode}`)
      await delay(100)
    }
    // A stopped process starts no others.
    runner.kill('SIGSTOP')
    const found = descendantsOf(pid)
    runner.kill('SIGKILL')
    await exited
    const killedAt = Date.now()
    const isLeft = (before: Stat) => readProcess(String(before.pid))?.startedAt === before.startedAt
    while (found.some(isLeft) && Date.now() - killedAt < withinMs) await delay(50)
    const left = found.filter(isLeft).map(({ command }) => command)
    t.same(left, [])
    t.comment(`${found.length} processes ended within ${Date.now() - killedAt} ms`)
  })
}
