import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const root = fileURLToPath(new URL('..', import.meta.url))
const documents = ['.', 'docs', 'bench'].flatMap(folder =>
  readdirSync(join(root, folder))
    .filter(name => name.endsWith('.md'))
    .map(name => join(folder, name)),
)

/** Text of a document without its code. */
const withoutCode = (text: string): string => text.replaceAll(/^```.*?^```/gms, '').replaceAll(/`[^`\n]*`/g, '')

const inline = /\]\(([^)\s]+)\)/g
const definition = /^\[([^\]]+)\]: (\S+)$/gm

/** The anchors that GitHub gives to the headings of a document. */
function anchorsOf(file: string): Set<string> {
  const headings = readFileSync(file, 'utf8')
    .replaceAll(/^```.*?^```/gms, '')
    .matchAll(/^#+ (.+)$/gm)
  return new Set(
    [...headings].map(([, text = '']) =>
      text
        .toLowerCase()
        .replaceAll(/[^\p{Letter}\p{Number}\s_-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  )
}

t.test(
  'every relative link of a document leads to a file of the repository and, in documents, to a heading',
  async t => {
    t.ok(documents.length >= 18, `${documents.length} documents`)
    for (const document of documents) {
      const text = withoutCode(readFileSync(join(root, document), 'utf8'))
      const targets = [
        ...[...text.matchAll(inline)].map(([, target = '']) => target),
        ...[...text.matchAll(definition)].map(([, , target = '']) => target),
      ]
      for (const target of targets) {
        if (/^[a-z]+:/.test(target)) continue
        const [path = '', anchor] = target.split('#')
        const file = path === '' ? join(root, document) : join(root, dirname(document), path)
        t.ok(existsSync(file) && !relative(root, file).startsWith('..'), `${document}: ${target}`)
        if (anchor !== undefined && file.endsWith('.md') && existsSync(file))
          t.ok(anchorsOf(file).has(anchor), `${document}: ${target}`)
      }
    }
  },
)

t.test('docs/ARCHITECTURE.md links each path below src that it names in brackets to that file', async t => {
  const text = readFileSync(join(root, 'docs/ARCHITECTURE.md'), 'utf8')
  const named = new Set([...text.matchAll(/\[([\w./-]+\.(?:ts|lua))\](?![(:])/g)].map(([, name = '']) => name))
  t.ok(named.size > 50, `${named.size} paths`)
  for (const name of named) t.ok(text.includes(`\n[${name}]: ../src/${name}\n`), name)
})
