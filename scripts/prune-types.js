// Keeps the type declarations that a program can reach from an entry point of the package, and deletes the others of
// dist/. Declarations marked `@internal` are not emitted, so that those that remain need no other package: a compiler
// would spend seconds on the types of a schema library.
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const target = fileURLToPath(new URL('../dist', import.meta.url))
const reached = new Set()

function reach(file) {
  if (reached.has(file)) return
  reached.add(file)
  const imports = readFileSync(file, 'utf8').matchAll(/\bfrom ['"]([^'"]+)['"];$|\bimport\(['"]([^'"]+)['"]\)/gm)
  for (const [, from, inline] of imports) {
    const name = from ?? inline
    if (!name.startsWith('.')) throw new Error(`${file} needs the types of ${name}: mark what uses them @internal`)
    reach(resolve(dirname(file), name.replace(/\.[jt]s$/, '.d.ts')))
  }
}
for (const entry of ['node', 'browser', 'either']) reach(join(target, `client/${entry}.d.ts`))

for (const entry of readdirSync(target, { recursive: true, withFileTypes: true })) {
  const file = join(entry.parentPath, entry.name)
  if (entry.isFile() && entry.name.endsWith('.d.ts') && !reached.has(file)) rmSync(file)
}
