import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { seededRandom } from '../../tools/random.ts'
import { shiftClock } from '../../tools/shifted-clock.mjs'
import type { HistoryEvent } from '../history/events.ts'
import { hashOf } from '../history/hash.ts'
import { LineWriter } from '../history/json-lines.ts'
import { LoadAgent } from './load-agent.ts'
import type { AgentPlan, LoadCommand, LoadOptions, LoadReport } from './load-options.ts'
import { probe } from './prober.ts'
import { Recorder } from './recorder.ts'

/** A process of agents that may be killed at any time. */
const options: LoadOptions = JSON.parse(process.argv[2] ?? '{}')
const writer = new LineWriter<HistoryEvent>(options.history)
const recorderOf = (client: string) => new Recorder(writer, client, options.inc)
const own = recorderOf('load')
process.on('unhandledRejection', error => own.note({ ev: 'unhandled', error: String(error) }))
process.on('uncaughtException', error => own.note({ ev: 'unhandled', error: `${error.stack}` }))

const agents = new Map(await Promise.all(options.agents.map(async plan => [plan.name, await openAgent(plan)] as const)))
report({ is: 'ready' })
createInterface({ input: process.stdin }).on('line', line => void obey(JSON.parse(line)))

function openAgent({ name, peers }: AgentPlan): Promise<LoadAgent> {
  const { server, directory, inc, seed, canary } = options
  return LoadAgent.open({
    name,
    peers,
    server,
    directory: join(directory, name),
    recorder: recorderOf(name),
    random: seededRandom(Number.parseInt(toSeed(`${seed} ${name} ${inc}`), 36)),
    canary,
  })
}

/** Ends the prober, which runs beside the agents. */
const probing = new AbortController()

async function obey(command: LoadCommand): Promise<void> {
  switch (command.do) {
    case 'go':
      void probe(options.server, recorderOf, probing.signal)
      await Promise.all([...agents.values()].map(agent => agent.run(options.rate)))
      return report({ is: 'idle' })
    case 'stop':
      probing.abort()
      for (const agent of agents.values()) agent.stop()
      return
    case 'take-over':
      await agents.get(command.agent)?.takeOver(command.ms)
      return report({ is: 'taken-over', agent: command.agent })
    case 'shift-clock':
      return shiftClock(command.ms)
    case 'quit':
      await Promise.all([...agents.values()].map(agent => agent.close()))
      process.exit(0)
  }
}

function report(line: LoadReport): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

/** Hashes a text to characters that form a base-36 number. */
function toSeed(text: string): string {
  return hashOf(text)
    .replace(/[^0-9a-z]/g, '')
    .slice(0, 6)
}
