/**
 * Writes docs/EVIDENCE.md: for each row of GUARANTEES.md, SECURITY.md and CHAOS.md the tests that are evidence for it.
 *
 * A test says so by a comment on the line above its call, which holds the ids of the rows: two slashes, `Evidence:`,
 * and `K1, R11`. So a title can change without a change of any document, and a test that goes away changes this list.
 *
 *     npm run generate
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = new URL('../', import.meta.url)
const page = new URL('docs/EVIDENCE.md', root)

/** The documents that have rows with evidence, in the order of the list. */
export const documents = ['GUARANTEES', 'SECURITY', 'CHAOS'] as const
export type Document = (typeof documents)[number]

export type Evidence = { ids: string[]; file: string; title: string }

const tag = /^ *\/\/ Evidence: *(.*)\n\s*(?:for \(.*\)\s*)?[\w.]+\(\s*(?:(['"`])((?:\\.|(?!\2)[^\\])*)\2)/gm

/** Every mark in the tests, in the order of files and lines. `unread` has the lines that mark no test. */
export function readEvidence(): { evidence: Evidence[]; unread: string[] } {
  const files = readdirSync(new URL('test/', root), { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.ts'))
    .sort()
  const unread: string[] = []
  const evidence = files.flatMap(name => {
    const source = readFileSync(new URL(`test/${name}`, root), 'utf8')
    const marks = [...source.matchAll(tag)]
    const lines = source.split('\n').filter(line => /^ *\/\/ Evidence\b/.test(line))
    if (lines.length !== marks.length)
      unread.push(`${name}: ${lines.length} marks, ${marks.length} of them above a test`)
    return marks.map(([, ids = '', , title = '']) => ({
      ids: ids.split(',').map(id => id.trim()),
      file: `test/${name}`,
      title: title.replaceAll(/\\(.)/g, '$1'),
    }))
  })
  return { evidence, unread }
}

/**
 * Ids of the rows of a document, and which of them link to their evidence: `**[K1](EVIDENCE.md#k1) …**` begins a block,
 * `| [N1] | … |` is a line of a table. Rows without a link have the bare id.
 */
export function readRows(document: Document): { ids: string[]; linked: string[] } {
  const text = readFileSync(new URL(`docs/${document}.md`, root), 'utf8')
  const rows = [...text.matchAll(/^(?:\*\*|\| )(\[)?([A-Z]+[0-9]+)(?:\]\(EVIDENCE\.md#[a-z]+[0-9]+\)|\])? /gm)]
  const idOf = ([, , id = '']: RegExpExecArray) => id
  return { ids: rows.map(idOf), linked: rows.filter(([, bracket]) => bracket).map(idOf) }
}

const width = 120

/** Text in lines of at most 120 columns; all lines but the first are indented by two. */
function wrap(text: string): string {
  const lines = ['']
  for (const word of text.split(' ')) {
    const line = `${lines.at(-1)}${lines.at(-1) ? ' ' : ''}${word}`
    if (line.length <= width) lines[lines.length - 1] = line
    else lines.push(`  ${word}`)
  }
  return lines.join('\n')
}

/** Text of a test's title as Markdown shows it literally. */
const literal = (title: string): string => title.replaceAll(/[*_<>[\]|`]/g, '\\$&')

function groupByFile(evidence: readonly Evidence[]): Map<string, Evidence[]> {
  const files = new Map<string, Evidence[]>()
  for (const one of evidence) files.set(one.file, [...(files.get(one.file) ?? []), one])
  return files
}

function section(id: string, evidence: readonly Evidence[]): string {
  const tests = evidence.filter(({ ids }) => ids.includes(id))
  const byFile = groupByFile(tests)
  const blocks = [...byFile].map(([file, of]) =>
    [`[${file}](../${file}):`, '', ...of.map(({ title }) => wrap(`- ${literal(title)}`))].join('\n'),
  )
  return [`### ${id}`, ...blocks].join('\n\n')
}

/** The whole page as it should be now. */
export function renderEvidence(): string {
  const { evidence } = readEvidence()
  const parts = documents.map(document => {
    const { linked } = readRows(document)
    return [`## ${document}.md`, ...linked.map(id => section(id, evidence))].join('\n\n')
  })
  return `${[head, ...parts].join('\n\n')}\n`
}

const head = `# Evidence

The tests behind each row of [GUARANTEES.md](GUARANTEES.md), [SECURITY.md](SECURITY.md) and [CHAOS.md](CHAOS.md).
\`npm run generate\` writes this page from the \`// Evidence:\` comments in \`test\`; do not edit it.`

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(page, renderEvidence())
