import { parseArgs } from 'node:util'
import { machine, toMarkdown } from '../report.ts'
import { fullScale, type Workload } from '../workloads/workload.ts'
import { flood } from './flood.ts'
import { rows } from './rows.ts'

/**
 * `npm run hostile [-- --only NAME,NAME --minutes N]` measures good agents beside abusive ones. `--minutes` is the
 * length of the flood. Exit code 1: a target is missed.
 */
const { values: options } = parseArgs({
  options: { only: { type: 'string', multiple: true }, minutes: { type: 'string', default: '10' } },
})
const only = options.only?.flatMap(names => names.split(','))
const chosen = [...rows, flood(Number(options.minutes))].filter(({ name }) => only?.includes(name) ?? true)
process.stdout.write(`${machine()}\n\n`)
let isHolding = chosen.length > 0
for (const workload of chosen) isHolding = (await runOne(workload)) && isHolding
process.exit(isHolding ? 0 : 1)

async function runOne(workload: Workload): Promise<boolean> {
  const ends: (() => Promise<unknown> | unknown)[] = []
  const owner = { teardown: (end: () => Promise<unknown> | unknown) => ends.push(end) }
  const progress = (text: string) => void process.stderr.write(`${workload.name}: ${text}\n`)
  try {
    const result = await workload.run({ owner, scale: fullScale, progress })
    process.stdout.write(`${toMarkdown(result, workload.what)}\n\n`)
    return result.bars.every(bar => bar.isHolding)
  } finally {
    for (const end of ends.reverse()) await end()
  }
}
