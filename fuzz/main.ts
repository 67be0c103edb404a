import { parseArgs } from 'node:util'
import { Teardown } from '../tools/teardown.ts'
import { type LiesReport, lie, type Victim, victims } from './lies/run.ts'
import { type FuzzReport, fuzz } from './run.ts'

const usage = `Usage: npm run fuzz -- [options]

Starts a node and sends it valid, invalid and truncated frames and HTTP requests (also the operator's), and raw bytes.
Checks that the node stays alive, that every request is answered as the protocol says, that nothing hangs, and that the
memory of the node stays flat.
Exit code 0: all checks hold. 1: a check fails. 2: wrong usage.

  --frames N     default 100000
  --requests N   default 10000
  --seed N       repeats the same inputs (default: a new seed, printed)

With --lies, a node lies to clients instead: it drops, delays, doubles, swaps, replays, changes and invents frames, and
forges keys, cards and messages. Checks that no false key is shown as verified, that every accepted message is shown,
reported or kept, that every call and process ends as documented, and that nothing loops.

  --lies N       how many lies, in rounds; a fault names the seed of its round
  --victims LIST default ${victims.join()}
  --seed N       the seed of the first round`

/** Memory growth of a warm process that counts as noise: heap that is not yet collected. */
const maxGrowth = 1.25
const maxGrowthBytes = 64 * 1_048_576
const printEvery = 50

const print = (text: string): void => void process.stdout.write(`${text}\n`)

function readOptions(args: string[]) {
  const text = { type: 'string' } as const
  const { values } = parseArgs({
    args,
    options: { frames: text, requests: text, lies: text, victims: text, seed: text, help: { type: 'boolean' } },
  })
  const whole = (name: string, value: string): number => {
    if (/^\d{1,12}$/.test(value)) return Number(value)
    throw new TypeError(`--${name} must be a whole number, not "${value}"`)
  }
  return {
    help: values.help === true,
    frames: whole('frames', values.frames ?? '100000'),
    requests: whole('requests', values.requests ?? '10000'),
    lies: whole('lies', values.lies ?? '0'),
    victims: victimsIn(values.victims ?? victims.join()),
    seed: whole('seed', values.seed ?? String(Date.now() % 1_000_000)),
  }
}

function victimsIn(list: string): Victim[] {
  return list.split(',').map(name => {
    const victim = victims.find(each => each === name)
    if (victim) return victim
    throw new TypeError(`--victims must be some of ${victims.join()}, not "${list}"`)
  })
}

type Memory = Pick<FuzzReport, 'warmBytes' | 'endBytes'>

const isFlat = ({ warmBytes, endBytes }: Memory): boolean =>
  endBytes <= warmBytes * maxGrowth || endBytes - warmBytes <= maxGrowthBytes

const mib = (bytes: number): string => `${Math.round(bytes / 1_048_576)} MiB`

const listOf = (counts: ReadonlyMap<string, number>): string =>
  [...counts]
    .sort(([, a], [, b]) => b - a)
    .map(([what, count]) => `${what} ${count}`)
    .join(', ')

const describeLies = (report: LiesReport): string =>
  [
    `${report.lies} lies`,
    `outcomes: ${listOf(report.outcomes)}`,
    `heap: ${mib(report.warmBytes)} warm, ${mib(report.endBytes)} at the end`,
    `${report.faultCount} faults`,
  ].join('\n')

function describe(report: FuzzReport): string {
  return [
    `${report.frames} frames, ${report.requests} requests`,
    `answers: ${listOf(report.answers)}`,
    `memory of the node: ${mib(report.warmBytes)} warm, ${mib(report.endBytes)} at the end`,
    `${report.faultCount} faults`,
    ...report.faults,
  ].join('\n')
}

async function main(): Promise<number> {
  const { help, ...options } = readOptions(process.argv.slice(2))
  if (help) {
    print(usage)
    return 0
  }
  const owner = new Teardown()
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => void owner.run().then(() => process.exit(130)))
  print(`seed ${options.seed}`)
  let progressCalls = 0
  try {
    if (options.lies > 0) {
      const report = await lie(owner, options, print)
      print(describeLies(report))
      return report.faultCount === 0 && isFlat(report) ? 0 : 1
    }
    const report = await fuzz(owner, options, (frames, requests, bytes) => {
      if (progressCalls++ % printEvery === 0) print(`${frames} frames, ${requests} requests, ${mib(bytes)}`)
    })
    print(describe(report))
    return report.faultCount === 0 && isFlat(report) ? 0 : 1
  } finally {
    await owner.run()
  }
}

try {
  process.exit(await main())
} catch (error) {
  process.stderr.write(`${error instanceof TypeError ? `${error.message}\n\n${usage}` : String(error)}\n`)
  process.exit(error instanceof TypeError ? 2 : 1)
}
