import { existsSync, readFileSync } from 'node:fs'
import t from 'tap'
import { documents, readEvidence, readRows, renderEvidence } from '../scripts/list-evidence.ts'

const { evidence, unread } = readEvidence()
const marked = new Set(evidence.flatMap(({ ids }) => ids))
const rows = documents.map(document => readRows(document))

t.test('each Evidence comment is directly above the call of a test', async t => {
  t.ok(evidence.length > 220, `${evidence.length} marked tests`)
  t.same(unread, [])
  for (const { file, title, ids } of evidence) {
    t.ok(existsSync(new URL(`../${file}`, import.meta.url)) && title !== '', `${file}: ${title}`)
    t.same([...new Set(ids)], ids, `${file}: ${title}`)
  }
})

t.test(
  'each id in a comment is a row of one document, and the rows with tests are those that link to them',
  async t => {
    const ids = rows.flatMap(({ ids }) => ids)
    t.same([...new Set(ids)], ids)
    t.same(new Set(rows.flatMap(({ linked }) => linked)), marked)
    for (const id of marked) t.ok(ids.includes(id), id)
  },
)

// Evidence: U6
t.test('each guarantee says what can go wrong and what prevents it, and has a test', async t => {
  const text = readFileSync(new URL('../docs/GUARANTEES.md', import.meta.url), 'utf8')
  const { ids } = readRows('GUARANTEES')
  t.ok(ids.length > 40, `${ids.length} guarantees`)
  for (const id of ids) {
    const [, danger = '', guard = ''] =
      new RegExp(`^\\*\\*\\[${id}\\]\\(\\S+\\)(.+?)\\*\\*\n(.+)`, 'ms').exec(text) ?? []
    t.ok(danger.trim() && guard.trim(), id)
    t.ok(marked.has(id), `${id} has a test`)
  }
})

t.test('docs/EVIDENCE.md is current (otherwise: npm run generate)', async t => {
  t.equal(readFileSync(new URL('../docs/EVIDENCE.md', import.meta.url), 'utf8'), renderEvidence())
})
