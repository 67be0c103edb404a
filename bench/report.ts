import { cpus } from 'node:os'
import type { Result, Row } from './workloads/workload.ts'

const format = (value: number): string => {
  if (!Number.isFinite(value)) return '–'
  if (value >= 1_000) return Math.round(value).toLocaleString('en-US').replaceAll(',', ' ')
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)
}

/** Returns one workload as a Markdown table with its targets below. */
export function toMarkdown({ workload, rows, bars }: Result, what: string): string {
  const columns = [...new Set(rows.flatMap(({ values }) => Object.keys(values)))]
  const line = ({ system, values }: Row) =>
    `| ${[system, ...columns.map(name => format(values[name] ?? Number.NaN))].join(' | ')} |`
  const table = [`| | ${columns.join(' | ')} |`, `| --- |${' ---: |'.repeat(columns.length)}`, ...rows.map(line)]
  const verdicts = bars.map(
    ({ text, value, isHolding }) => `- ${text}: **${format(value)}**${isHolding ? '' : ' (not met)'}`,
  )
  return [`### ${workload}`, '', `${what}.`, '', ...table, '', ...verdicts].join('\n')
}

export const machine = (): string => `${cpus().length} cores, ${cpus()[0]?.model ?? 'unknown'}, Node ${process.version}`
