import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import t from 'tap'

const folder = new URL('../../src/crypto/', import.meta.url)
const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.ts'))
const importsOf = (file: string): string[] =>
  [...readFileSync(new URL(file, folder), 'utf8').matchAll(/(?:from|import) '([^']+)'/g)].map(([, name]) => name ?? '')

/** All files that `file` imports, directly and indirectly, by value or by type. */
function reach(file: string, seen = new Set<string>()): Set<string> {
  if (seen.has(file)) return seen
  seen.add(file)
  for (const name of importsOf(file)) {
    const target = name.startsWith('.') ? normalize(join(dirname(file), name)) : ''
    if (target !== '' && !target.startsWith('..')) reach(target, seen)
  }
  return seen
}

t.test('only primitives.ts imports @noble, and nothing imports the runtime', async t => {
  const packages = files.flatMap(file => importsOf(file).flatMap(name => (name.startsWith('.') ? [] : [[file, name]])))
  t.ok(packages.length > 0, 'the search finds imports')
  for (const [file, name] of packages) {
    t.equal(file, 'primitives.ts')
    t.match(name, /^@noble\//)
  }
})

t.test('nothing in crypto/ reads a clock, a source of randomness or the environment', async t => {
  for (const file of files) {
    const source = readFileSync(new URL(file, folder), 'utf8')
    t.notMatch(source, /Date\.now|new Date|performance\.|Math\.random|process\.|getRandomValues|setTimeout/, file)
    if (file !== 'primitives.ts') t.notMatch(source, /randomBytes/, file)
  }
})

t.test('the signature code of a node loads no code that could decrypt', async t => {
  const reached = new Set(
    ['keys/bundle.ts', 'keys/identity.ts', 'keys/relay-auth.ts', 'labels.ts'].flatMap(file => [...reach(file)]),
  )
  for (const file of [
    'session/ratchet',
    'session/handshake',
    'session/decrypt-body',
    'session/encrypt-content',
    'session/session',
    'keys/prekeys',
  ]) {
    t.notOk(reached.has(`${file}.ts`), file)
  }
})
