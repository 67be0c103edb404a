import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const root = fileURLToPath(new URL('../', import.meta.url))
const maxColumns = 120

const folders = ['bin', 'src', 'test', 'tools', 'chaos', 'bench', 'fuzz', 'hosts', 'scripts', 'examples']
/** How a comment begins, by the end of a file's name. */
const commentStarts: Record<string, RegExp> = {
  ts: /^\s*(?:\/\/|\/\*|\*)|\s\/\/ /,
  js: /^\s*(?:\/\/|\/\*|\*)|\s\/\/ /,
  mjs: /^\s*(?:\/\/|\/\*|\*)|\s\/\/ /,
  lua: /^\s*--|\s-- /,
  sh: /^\s*#|\s# /,
  py: /^\s*#|\s# /,
  yml: /^\s*#|\s# /,
}
/** Files at the root with comments that begin with `#`. */
const rootFiles = ['.env.example', '.ci/run', 'Caddyfile', 'Dockerfile', 'docker-compose.yml']

type Line = { file: string; at: number; text: string }

const linesOf = (file: string): Line[] =>
  readFileSync(`${root}${file}`, 'utf8')
    .split('\n')
    .map((text, at) => ({ file, at: at + 1, text }))

const filesIn = (folder: string): string[] =>
  readdirSync(`${root}${folder}`, { recursive: true, encoding: 'utf8' })
    .filter(name => !/(?:^|\/)(?:node_modules|vectors|results)\//.test(name))
    .map(name => `${folder}/${name}`)

const endOf = (file: string): string => file.slice(file.lastIndexOf('.') + 1)

const sources = folders
  .flatMap(filesIn)
  .filter(file => endOf(file) in commentStarts && !file.startsWith('test/language.test.'))
  .flatMap(linesOf)
const comments = [
  ...sources.filter(({ file, text }) => commentStarts[endOf(file)]?.test(text)),
  ...rootFiles.flatMap(linesOf).filter(({ text }) => commentStarts.sh?.test(text)),
]

const documents = ['.', 'docs', 'bench'].flatMap(folder =>
  readdirSync(`${root}${folder}`)
    .filter(name => name.endsWith('.md'))
    .map(name => `${folder}/${name}`),
)
/** Lines of documents besides code. */
const prose = documents.flatMap(file => {
  let isCode = false
  return linesOf(file).filter(({ text }) => {
    if (text.startsWith('```')) isCode = !isCode
    return !isCode && !text.startsWith('    ')
  })
})

const textOf = ({ file, at, text }: Line): string => `${file}:${at}: ${text.trim()}`

t.test(`no line of a comment is longer than ${maxColumns} columns`, async t => {
  t.ok(comments.length > 3_000, `${comments.length} comment lines`)
  t.same(comments.filter(({ text }) => text.length > maxColumns).map(textOf), [])
})

t.test(`no line of a document is longer than ${maxColumns} columns, tables included`, async t => {
  t.ok(prose.length > 2_000, `${prose.length} lines`)
  const isOneWord = (text: string) => !/\S\s+\S/.test(text)
  t.same(prose.filter(({ text }) => text.length > maxColumns && !isOneWord(text)).map(textOf), [])
})

/** Words that have a plainer equivalent: "again", and a name for the actor. */
const words = /\b(?:whoever|anew)\b/i
/** Phrases that a reader whose first language is not English has to parse twice. */
const phrases =
  /\b(?:is told|are told|answers (?:whether|how|until|which)|so soon|by turns|comes by|looks? (?:anew|whether)|who(?:m|se)? nobody)\b/i

t.test('sources and documents have no word or phrase that has a plainer equivalent', async t => {
  const inSources = sources.filter(({ file }) => file.startsWith('src/'))
  t.same([...inSources, ...prose].filter(({ text }) => words.test(text)).map(textOf), [])
  t.same([...comments, ...prose].filter(({ text }) => phrases.test(text) || words.test(text)).map(textOf), [])
})

t.test('18.13 nothing tells a reader to run the package by a name that a stranger could register', async t => {
  // npx, npm exec and others download a package of that name unless one is installed where they run.
  const downloads =
    /\b(?:npx|npm (?:exec|x|create)|pnpm (?:dlx|exec)|yarn (?:dlx|exec)|bunx|bun x|uvx)\b[^`|]*\baimessage\b/
  const fromRegistry = /\b(?:npm|pnpm|yarn|bun) (?:i|install|add)\b(?: -{1,2}[\w-]+)* aimessage\b/
  const json = /"npx"/
  const files = [...documents, ...filesIn('examples'), ...filesIn('docs'), ...filesIn('bin'), ...filesIn('src')]
  const lines = [...new Set([...files, ...rootFiles])]
    .filter(file => /\.(?:md|js|ts|py|json|yml|sh|example)$|^[A-Z]/.test(file))
    .flatMap(linesOf)
  t.same(lines.filter(({ text }) => [downloads, fromRegistry, json].some(found => found.test(text))).map(textOf), [])
  t.ok(lines.some(({ text }) => text.includes('npm install --global ./aimessage-0.1.0.tgz')))
})
