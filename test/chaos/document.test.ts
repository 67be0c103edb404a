import { readFileSync } from 'node:fs'
import t from 'tap'
import { invariants } from '../../chaos/checker/check.ts'
import { faultNames } from '../../chaos/faults/names.ts'
import { faults } from '../../chaos/faults/table.ts'
import { guards } from '../../chaos/guard-removals.ts'
import { readEvidence, readRows } from '../../scripts/list-evidence.ts'
import { tableUnder } from '../fixtures/document-tables.ts'

const document = readFileSync(new URL('../../docs/CHAOS.md', import.meta.url), 'utf8')

t.test('the document lists every fault', async t => {
  const listed = tableUnder(document, 'Faults')
  t.same(
    listed,
    faultNames.map(name => [`\`${name}\``, faults[name].lane, faults[name].row, faults[name].about]),
  )
})

t.test('the document lists every invariant', async t => {
  const listed = tableUnder(document, 'Invariants')
  t.same(
    listed,
    invariants.map(({ name, title }) => [name, title]),
  )
})

t.test('the document lists every guard', async t => {
  const listed = tableUnder(document, 'Guards')
  t.same(
    listed.map(([name]) => name),
    guards.map(guard => `\`${guard}\``),
  )
})

const rowsOf = (letter: string, count: number) => Array.from({ length: count }, (_, at) => `${letter}${at + 1}`)

t.test('each row names a fault of the chaos run or links to its tests', async t => {
  const listed = tableUnder(document, 'Every row')
  const wanted = [
    rowsOf('N', 9),
    rowsOf('R', 14),
    rowsOf('C', 15),
    rowsOf('T', 4),
    rowsOf('A', 6),
    rowsOf('B', 2),
  ].flat()
  t.same(
    listed.map(([row = '']) => row.replaceAll(/[[\]]/g, '')),
    wanted,
  )
  const { linked } = readRows('CHAOS')
  const marked = new Set(readEvidence().evidence.flatMap(({ ids }) => ids))
  for (const [at, row] of wanted.entries()) {
    const [, what, fault = '', result] = listed[at] ?? []
    t.ok(what && result, row)
    const named = [...fault.matchAll(/`([a-z-]+)`/g)].map(([, name]) => name)
    t.ok(
      named.every(name => faultNames.some(fault => fault === name)),
      row,
    )
    t.ok(named.length > 0 || linked.includes(row), `${row} has a fault or a test`)
    t.equal(linked.includes(row), marked.has(row), `${row} is a link if it has tests`)
    if (linked.includes(row)) t.match(document, `\n[${row}]: EVIDENCE.md#${row.toLowerCase()}\n`, `${row} has a target`)
  }
})
