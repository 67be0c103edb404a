import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Teardown } from '../tools/teardown.ts'
import { check } from './checker/check.ts'
import { type ChaosOptions, readOptions, UsageError, usage } from './options.ts'
import { describeRun, judge, summarize, type Verdict } from './report.ts'
import { type Progress, run } from './run.ts'

const exitCodes: Readonly<Record<Verdict, number>> = { pass: 0, broken: 1, unknown: 3 }

const print = (text: string): void => void process.stdout.write(`${text}\n`)

/** Runs once, prints the result, and returns the exit code. */
async function main(args: readonly string[]): Promise<number> {
  if (args.includes('--help')) {
    print(usage)
    return 0
  }
  const options = readOptions(args)
  const owner = new Teardown()
  const directory = await mkdtemp(join(tmpdir(), 'aimessage-chaos-'))
  owner.teardown(() => rm(directory, { recursive: true, force: true }))
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => void owner.run().then(() => process.exit(130)))
  print(`seed ${options.seed}${options.guard ? `, without ${options.guard}` : ''}`)
  try {
    return exitCodes[await judgeRun(owner, directory, options)]
  } finally {
    await owner.run()
  }
}

async function judgeRun(owner: Teardown, directory: string, options: ChaosOptions): Promise<Verdict> {
  const input = await run(owner, directory, options, showProgress)
  const broken = check(input)
  const summary = summarize(input)
  const verdict = judge(broken, summary)
  print(describeRun(input, summary, broken))
  if (verdict === 'broken') await keep(directory, join(options.keep, String(options.seed)))
  print(`${verdict}; seed ${options.seed}`)
  return verdict
}

/** Keeps histories and logs, but not the agents' states. */
async function keep(directory: string, to: string): Promise<void> {
  await cp(directory, to, { recursive: true, filter: path => !/\/(?:bundle|state)$/.test(path) })
  print(`histories and logs are in ${to}`)
}

function showProgress({ phase, sent, shown, missing, faults }: Progress): void {
  const now = faults.filter(({ to }) => to === Number.POSITIVE_INFINITY).map(({ name }) => name)
  const during = now.length > 0 ? `; ${now.join(', ')}` : ''
  const line = `${phase}: ${sent} sent, ${shown} shown, ${missing} in transit${during}`
  if (process.stdout.isTTY) process.stdout.write(`\r\x1b[K${line}`)
  else print(line)
}

/** Exits explicitly, because open handles may keep the event loop alive after everything has ended. */
async function exit(args: readonly string[]): Promise<never> {
  try {
    return process.exit(await main(args))
  } catch (error) {
    const isUsage = error instanceof UsageError
    const text = error instanceof Error ? (isUsage ? `${error.message}\n\n${usage}` : error.stack) : String(error)
    process.stderr.write(`${text}\n`)
    return process.exit(isUsage ? 2 : 1)
  }
}

await exit(process.argv.slice(2))
