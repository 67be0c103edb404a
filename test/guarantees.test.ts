import { readFileSync } from 'node:fs'
import t from 'tap'
import { besidesCitations, checkCitations, citationsIn } from './fixtures/citations.ts'

const page = new URL('../docs/GUARANTEES.md', import.meta.url)
const rows = readFileSync(page, 'utf8')
  .split('\n')
  .filter(line => line.startsWith('| ') && !line.startsWith('| what ') && !line.startsWith('| ---'))

// Evidence: U6
t.test('every test that the page names exists', async t => {
  t.ok(rows.length > 40)
  checkCitations(t, page, rows.join('\n'))
})

t.test('every row names a test, and nothing but tests', async t => {
  for (const row of rows) {
    const [, danger = '', guard = '', cell = ''] = row.split(' | ').join('|').split('|')
    t.ok(danger.trim() && guard.trim(), row)
    t.equal(besidesCitations(cell), '', danger)
    t.ok(citationsIn(cell).length > 0, danger)
  }
})
