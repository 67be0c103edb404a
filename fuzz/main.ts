import { parseArgs } from 'node:util'
import { Teardown } from '../tools/teardown.ts'
import { type FuzzReport, fuzz } from './run.ts'

const usage = `Usage: npm run fuzz -- [options]

Sends a node of its own frames and HTTP requests that are right, wrong and torn, the operator's among them, and raw bytes. Checks that it
lives, that whatever asks is answered, in words of the table, that nothing hangs and that its memory stays flat. Exit code 0: all of it holds. 1: it does not. 2: wrong usage.

  --frames N     default 100000
  --requests N   default 10000
  --seed N       repeats the same inputs (default: a new one, printed)`

/** Growth of a warm process that is noise: heap that is not yet collected. */
const maxGrowth = 1.25
const maxGrowthBytes = 64 * 1_048_576
const tellEvery = 50

const print = (text: string): void => void process.stdout.write(`${text}\n`)

function readOptions(args: string[]) {
  const text = { type: 'string' } as const
  const { values } = parseArgs({
    args,
    options: { frames: text, requests: text, seed: text, help: { type: 'boolean' } },
  })
  const whole = (name: string, value: string): number => {
    if (/^\d{1,12}$/.test(value)) return Number(value)
    throw new TypeError(`--${name} must be a whole number, not "${value}"`)
  }
  return {
    help: values.help === true,
    frames: whole('frames', values.frames ?? '100000'),
    requests: whole('requests', values.requests ?? '10000'),
    seed: whole('seed', values.seed ?? String(Date.now() % 1_000_000)),
  }
}

const isFlat = ({ warmBytes, endBytes }: FuzzReport): boolean =>
  endBytes <= warmBytes * maxGrowth || endBytes - warmBytes <= maxGrowthBytes

const mib = (bytes: number): string => `${Math.round(bytes / 1_048_576)} MiB`

function describe(report: FuzzReport): string {
  const counts = [...report.answers].sort(([, a], [, b]) => b - a).map(([answer, count]) => `${answer} ${count}`)
  return [
    `${report.frames} frames, ${report.requests} requests`,
    `answers: ${counts.join(', ')}`,
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
  let told = 0
  try {
    const report = await fuzz(owner, options, (frames, requests, bytes) => {
      if (told++ % tellEvery === 0) print(`${frames} frames, ${requests} requests, ${mib(bytes)}`)
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
