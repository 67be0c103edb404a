import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { openDirectoryStore } from '../../src/client/node.ts'
import { temporaryDirectory } from '../../tools/clients/agents.ts'
import { builtFile, nodeEndingWithParent } from '../../tools/processes.ts'
import { outputFaults } from './child-output.ts'
import type { Round } from './findings.ts'
import type { LibraryAgent } from './library-agent.ts'
import { Pair } from './pair.ts'
import type { LyingWorld } from './world.ts'

const pairsAtOnce = 3
/** Pairs of a round are numbered from its seed times this. */
const maxPairs = 1_000
const commandsOfEach = 8
/** The bounds that the commands get, s. */
const sendTimeoutS = 4
const waitS = 1
/** How long a command may take on a busy machine: two logins of 15 s, its own bound, and its end, ms. */
const commandBoundMs = 120_000
/** Exit codes of docs/CLI.md that a lie may cause: done, refused, unreachable, state. */
const expectedCodes: readonly unknown[] = [0, 3, 4, 5]

type Result = { code: number | null; stdout: string; stderr: string }
type Run = (name: string, args: readonly string[]) => Promise<Result>

/** Lies to spawned commands. */
export const lieToCommands: Round = async ({ owner, world, findings, seed }) => {
  const home = await temporaryDirectory(owner)
  const storeOf = (name: string) => () => openDirectoryStore(`${home}/${name}`)
  const run: Run = (name, args) => runCommand(world, home, name, args)
  const live = (pair: Pair) => liveByCommands(pair, run)
  const pairs = Array.from({ length: pairsAtOnce }, (_, at) => {
    return new Pair({ world, findings, victim: 'cli', seed: seed * maxPairs + at, storeOf, live })
  })
  await Promise.all(pairs.map(pair => pair.run()))
  return pairs.reduce((sum, { scene }) => sum + scene.lies, 0)
}

async function runCommand(world: LyingWorld, home: string, name: string, args: readonly string[]): Promise<Result> {
  const [command = '', ...rest] = args
  const child = spawn(...nodeEndingWithParent(builtFile('cli/run'), command, '--agent', name, ...rest), {
    env: {
      PATH: process.env.PATH,
      HOME: '/nonexistent',
      AIMESSAGE_HOME: home,
      AIMESSAGE_SERVER: world.serverOf(name),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const timer = setTimeout(() => child.kill('SIGKILL'), commandBoundMs)
  const ended = once(child, 'close')
  const [stdout, stderr] = await Promise.all([textOf(child.stdout), textOf(child.stderr)])
  await ended
  clearTimeout(timer)
  return { code: child.exitCode, stdout, stderr }
}

async function textOf(stream: ChildProcess['stdout']): Promise<string> {
  let text = ''
  for await (const chunk of stream?.setEncoding('utf8') ?? []) text += chunk
  return text
}

/** The states belong to the commands while the node lies. */
async function liveByCommands(pair: Pair, run: Run): Promise<void> {
  await pair.closeAgents()
  await Promise.all(
    pair.agents.map(async agent => {
      for (let count = 0; count < commandsOfEach; count += 1) await command(agent, pair, run)
    }),
  )
  pair.scene.beHonest()
  await pair.openAgents()
}

async function command(agent: LibraryAgent, pair: Pair, run: Run): Promise<void> {
  const { name } = agent
  const peer = pair.peerOf(agent).name
  const text = pair.newText(name)
  const key = pair.ledger.keys.get(peer) ?? ''
  const json = pair.random.next() < 0.6 ? ['--json'] : []
  const choices: readonly [weight: number, args: readonly string[]][] = [
    [4, ['send', peer, text, '--timeout', String(sendTimeoutS), '--json']],
    [4, ['recv', '--wait', String(waitS), '--json']],
    [1, ['request', peer, text, '--timeout', String(sendTimeoutS), ...json]],
    [1, ['users', ...json]],
    [1, ['card', peer, ...json]],
    [2, ['verify', ...json, '--', peer, key]],
    [1, ['whoami', ...json]],
  ]
  let left = pair.random.next() * choices.reduce((sum, [weight]) => sum + weight, 0)
  const args = choices.find(([weight]) => {
    left -= weight
    return left < 0
  })?.[1] ?? ['whoami']
  await check(agent, pair, args, text, run)
}

async function check(agent: LibraryAgent, pair: Pair, args: readonly string[], text: string, run: Run): Promise<void> {
  const { ledger, operations } = pair
  const { name } = agent
  const peer = pair.peerOf(agent).name
  const [what = ''] = args
  const sent = what === 'send' || what === 'request' ? ledger.sending(name, peer, text) : undefined
  if (what === 'request') ledger.sending(peer, name, `answer: ${text}`)
  if (what === 'verify') ledger.comparing(name, peer)
  let result: Result = { code: null, stdout: '', stderr: '' }
  await operations.run(
    what,
    async () => {
      result = await run(name, args)
    },
    commandBoundMs,
  )
  const { code, stdout } = result
  operations.count(`${what}: exit ${code}`)
  if (!expectedCodes.includes(code)) ledger.fault(`${args.join(' ')} ended with ${code}`, result)
  for (const fault of outputFaults(result)) ledger.fault(`${args.join(' ')}: ${fault}`)
  const lines = args.includes('--json') ? jsonIn(stdout, pair) : []
  for (const line of lines) {
    const { id, from, body, verified, identity, trust } = line
    if (what === 'send' && sent) Object.assign(sent, { id, isAccepted: true })
    if (what === 'verify') ledger.trusted(name, peer, { identity: String(identity), isVerified: trust === 'verified' })
    if (what !== 'recv' || 'error' in line) continue
    const shown = { id: String(id), from: String(from), text: String(body), isVerified: verified === 'verified' }
    ledger.shown(name, { ...shown, ...(typeof identity === 'string' && { identity }) })
    if (code === 0) ledger.acked(name, shown)
  }
}

function jsonIn(stdout: string, pair: Pair): Record<string, unknown>[] {
  return stdout.split('\n').flatMap(line => {
    if (line === '') return []
    try {
      return [JSON.parse(line)]
    } catch {
      pair.ledger.fault('a line is not JSON', line)
      return []
    }
  })
}
