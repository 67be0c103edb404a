import { readFileSync } from 'node:fs'
import t from 'tap'
import { invariants } from '../../chaos/checker/check.ts'
import { faultNames } from '../../chaos/faults/names.ts'
import { faults } from '../../chaos/faults/table.ts'
import { guards } from '../../chaos/guard-removals.ts'
import { checkCitations, citationsIn } from '../fixtures/citations.ts'

const page = new URL('../../docs/CHAOS.md', import.meta.url)
const document = readFileSync(page, 'utf8')

/** The cells of the table below a heading, without its head. */
function tableOf(heading: string): string[][] {
  const section = document.split(`## ${heading}\n`)[1]?.split('\n## ')[0] ?? ''
  const rows = section.split('\n').filter(line => line.startsWith('| ') && !line.startsWith('| ---'))
  return rows.map(row =>
    row
      .split('|')
      .slice(1, -1)
      .map(cell => cell.trim()),
  )
}

t.test('the document lists every fault', async t => {
  const listed = tableOf('Faults').slice(1)
  t.same(
    listed,
    faultNames.map(name => [`\`${name}\``, faults[name].lane, faults[name].row, faults[name].about]),
  )
})

t.test('the document lists every invariant', async t => {
  const listed = tableOf('Invariants').filter(([name]) => name !== '')
  t.same(
    listed,
    invariants.map(({ name, title }) => [name, title]),
  )
})

t.test('the document lists every guard', async t => {
  const listed = tableOf('Guards').slice(1)
  t.same(
    listed.map(([name]) => name),
    guards.map(guard => `\`${guard}\``),
  )
})

const rowsOf = (letter: string, count: number) => Array.from({ length: count }, (_, at) => `${letter}${at + 1}`)

t.test('every row of faults names a fault of chaos, a test that exists, or why it cannot be shown', async t => {
  const listed = tableOf('Every row').slice(1)
  const wanted = [rowsOf('N', 9), rowsOf('R', 14), rowsOf('C', 15), rowsOf('T', 3), rowsOf('A', 6)].flat()
  t.same(
    listed.map(([row]) => row),
    wanted,
  )
  for (const [row = '', what, shownBy = '', figure] of listed) {
    t.ok(what && figure, row)
    const named = [...shownBy.matchAll(/`([a-z-]+)`/g)].map(([, name]) => name)
    t.ok(
      named.every(name => faultNames.some(fault => fault === name)),
      row,
    )
    t.ok(named.length + citationsIn(shownBy).length > 0 || shownBy === 'not shown', row)
  }
  checkCitations(t, page, document)
})
