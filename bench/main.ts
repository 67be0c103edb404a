import { mkdir, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { toSvg } from './chart.ts'
import { machine, toMarkdown } from './report.ts'
import { clients } from './workloads/clients.ts'
import { drain } from './workloads/drain.ts'
import { growth } from './workloads/growth.ts'
import { idle } from './workloads/idle.ts'
import { logins } from './workloads/logins.ts'
import { redisMemory } from './workloads/redis-memory.ts'
import { start as commandStart } from './workloads/start.ts'
import { trafficWorkloads } from './workloads/traffic.ts'
import { fullScale, quickScale, type Result, type Workload } from './workloads/workload.ts'

const workloads: readonly Workload[] = [
  ...trafficWorkloads,
  drain,
  logins,
  idle,
  redisMemory,
  ...growth,
  clients,
  commandStart,
]

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', multiple: true },
    against: { type: 'string' },
    quick: { type: 'boolean', default: false },
    out: { type: 'string', default: fileURLToPath(new URL('./results', import.meta.url)) },
  },
})

const only = options.only?.flatMap(names => names.split(','))
const unknown = only?.filter(name => !workloads.some(workload => workload.name === name)) ?? []
if (unknown.length > 0) {
  process.stderr.write(`no workload ${unknown.join(', ')}; there are ${workloads.map(({ name }) => name).join(', ')}\n`)
  process.exit(2)
}

const chosen = workloads.filter(({ name }) => only?.includes(name) ?? true)
const scale = options.quick ? quickScale : fullScale
const start = performance.now()
const results: Result[] = []
const texts: string[] = []
process.stdout.write(`${machine()}\n\n`)
for (const [at, workload] of chosen.entries()) {
  const result = await runOne(workload, `${at + 1}/${chosen.length}`)
  results.push(result)
  texts.push(toMarkdown(result, workload.what))
  process.stdout.write(`${texts.at(-1)}\n\n`)
}
await save()
// Clients of peers keep reconnecting after their servers have ended.
process.exit(results.every(({ bars }) => bars.every(({ isHolding }) => isHolding)) ? 0 : 1)

/** Each workload starts and ends its own processes. */
async function runOne(workload: Workload, place: string): Promise<Result> {
  const ends: (() => Promise<unknown> | unknown)[] = []
  const owner = { teardown: (end: () => Promise<unknown> | unknown) => ends.push(end) }
  try {
    return await workload.run({
      owner,
      scale,
      progress: text => tell(`${place} ${workload.name}: ${text}`),
      against: options.against,
    })
  } finally {
    for (const end of ends.reverse()) await end()
  }
}

function tell(text: string): void {
  const seconds = Math.round((performance.now() - start) / 1_000)
  process.stderr.write(`[${seconds} s] ${text}\n`)
}

async function save(): Promise<void> {
  await mkdir(options.out, { recursive: true })
  const report = { machine: machine(), at: new Date().toISOString(), scale, results }
  await writeFile(`${options.out}/results.json`, `${JSON.stringify(report, null, 2)}\n`)
  await writeFile(`${options.out}/results.md`, `${machine()}\n\n${texts.join('\n\n')}\n`)
  for (const { workload, rows } of results.filter(({ rows }) => rows.some(({ values }) => 'CPU µs' in values))) {
    const file = `${options.out}/${workload.replaceAll(/\W+/g, '-')}.svg`
    await writeFile(file, toSvg(`${workload}: CPU per message`, rows))
  }
  tell(`written to ${options.out}`)
}
