import { readdirSync, readFileSync } from 'node:fs'
import { dirname, posix } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = new URL('../', import.meta.url)

/** One import, export-from or `import()` of a source file. Paths are relative to the root of the repository. */
export type Import = {
  from: string
  /** Path of the imported file, or the name of the package. */
  to: string
  isPackage: boolean
  /** True if the import leaves nothing behind at run time. */
  isType: boolean
}

/** TypeScript files below a folder of the repository, sorted. */
export const sourceFiles = (folder: string): string[] =>
  readdirSync(new URL(`${folder}/`, root), { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.ts') && !name.endsWith('.d.ts') && !name.includes('node_modules'))
    .map(name => posix.join(folder, name))
    .sort()

export const readSource = (file: string): string => readFileSync(fileURLToPath(new URL(file, root)), 'utf8')

const statement = /^ *(?:import|export)\b(?! default)([^'"`;=]*?)\bfrom\s+'([^']+)'/gm
const bare = /^ *import\s+'([^']+)'/gm
const dynamic = /(typeof )?\bimport\(\s*'([^']+)'\s*\)(\.[A-Z])?/g

/** All imports of a file, those of types included. */
export function importsOf(file: string): Import[] {
  const source = readSource(file).replaceAll(/^ *(?:\/\/|\*|\/\*\*).*$/gm, '')
  const found = [
    ...[...source.matchAll(statement)].map(([, names = '', to = '']) => ({ to, isType: /^\s*type\b/.test(names) })),
    ...[...source.matchAll(bare)].map(([, to = '']) => ({ to, isType: false })),
    // `import('x').Name` and `typeof import('x')` are types.
    ...[...source.matchAll(dynamic)].map(([, query, to = '', member]) => ({ to, isType: Boolean(query ?? member) })),
  ]
  return found.map(({ to, isType }) => {
    const isPackage = !to.startsWith('.')
    return { from: file, to: isPackage ? to : posix.join(dirname(file), to), isPackage, isType }
  })
}

/** Every file that the given ones load, directly or not, themselves included. Types load nothing, unless asked for. */
export function reachable(files: readonly string[], { types = false } = {}): Set<string> {
  const seen = new Set<string>()
  const queue = [...files]
  for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
    if (seen.has(file) || !file.endsWith('.ts')) continue
    seen.add(file)
    queue.push(...importsOf(file).flatMap(({ to, isPackage, isType }) => (isPackage || (isType && !types) ? [] : [to])))
  }
  return seen
}
