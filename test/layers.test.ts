import { readFileSync } from 'node:fs'
import { posix } from 'node:path'
import t from 'tap'
import { withPicture } from '../scripts/draw-imports.ts'
import { type Import, importsOf, sourceFiles } from '../tools/source-imports.ts'

/** Folders from the lowest to the highest: a file imports only files of its own folder and of lower ones. */
const layers = [
  'src/util',
  'src/protocol',
  'src/crypto',
  'src/crypto/encoding',
  'src/crypto/keys',
  'src/crypto/messages',
  'src/crypto/session',
  'src/client/state',
  'src/client/state/encryption',
  'src/client/state/directory',
  'src/client/base',
  'src/client/records',
  'src/client/connection',
  'src/client/outbox',
  'src/client/sessions',
  'src/client/messages',
  'src/client/shares',
  'src/client/inbox',
  'src/client/trust',
  'src/client/requests',
  'src/client/directory',
  'src/client/transfer',
  'src/client',
  'src/server/store',
  'src/server/store/memory',
  'src/server/store/redis/connection',
  'src/server/store/redis/stored',
  'src/server/store/redis/nodes',
  'src/server/store/redis/users',
  'src/server/store/redis/inbox',
  'src/server/store/redis',
  'src/server/base',
  'src/server/rate-limits',
  'src/server/delivery',
  'src/server/node',
  'src/server/operations',
  'src/server/http/plugins',
  'src/server/http',
  'src/server/socket',
  'src/server',
  'src/mcp',
  'src/cli/base',
  'src/cli/text',
  'src/cli/input',
  'src/cli/delivery',
  'src/cli/demo',
  'src/cli/admin',
  'src/cli/commands/messages',
  'src/cli/commands',
  'src/cli',
  'tools',
  'fuzz',
  'hosts',
  'bench',
  'chaos',
  'scripts',
  'test',
]

/** Folders that import nothing of each other, in either direction. */
const strangers = [['src/server', 'src/client']] as const

/** More files directly in one folder of src are hard to overlook. */
const maxFiles = 18
/** Folders that have more, and why. */
const largeFolders: Record<string, string> = {}

const folders = ['src', 'tools', 'test', 'chaos', 'bench', 'fuzz', 'hosts', 'scripts']
const files = folders.flatMap(folder => sourceFiles(folder))
const imports = files.flatMap(file => importsOf(file)).filter(({ to, isPackage }) => !isPackage && to.endsWith('.ts'))

const isIn = (folder: string, file: string): boolean => file.startsWith(`${folder}/`)

/** Index of the deepest listed folder that has the file. */
function layerOf(file: string): number {
  const found = layers.filter(folder => isIn(folder, file)).sort((one, other) => other.length - one.length)
  return layers.indexOf(found[0] ?? '')
}

const textOf = ({ from, to }: Import): string => `${from} imports ${to}`

t.test('no import leads to a higher folder, types included', async t => {
  t.ok(imports.length > 2_000, `${imports.length} imports`)
  for (const folder of layers)
    t.ok(
      files.some(file => isIn(folder, file)),
      `${folder} has files`,
    )
  for (const file of files) t.not(layerOf(file), -1, `${file} is in a listed folder`)
  t.same(imports.filter(({ from, to }) => layerOf(to) > layerOf(from)).map(textOf), [])
})

t.test('server and client know nothing of each other', async t => {
  for (const [one, other] of strangers) {
    const crossing = ({ from, to }: Import) =>
      (isIn(one, from) && isIn(other, to)) || (isIn(other, from) && isIn(one, to))
    t.same(imports.filter(crossing).map(textOf), [])
  }
})

t.test('no files import each other in a circle, types included', async t => {
  t.same(circles(), [])
})

t.test(`no folder of src has more than ${maxFiles} files, unless a reason is given`, async t => {
  const counts = new Map<string, number>()
  for (const file of sourceFiles('src')) {
    const folder = posix.dirname(file)
    counts.set(folder, (counts.get(folder) ?? 0) + 1)
  }
  for (const [folder, count] of counts) t.ok(count <= maxFiles || largeFolders[folder], `${folder} has ${count} files`)
  for (const folder of Object.keys(largeFolders)) t.ok((counts.get(folder) ?? 0) > maxFiles, `${folder} needs a reason`)
})

t.test('the picture in docs/ARCHITECTURE.md is current (otherwise: npm run generate)', async t => {
  const text = readFileSync(new URL('../docs/ARCHITECTURE.md', import.meta.url), 'utf8')
  t.equal(text, withPicture(text))
})

/** Groups of files that import each other, directly or not: the strongly connected components (Tarjan). */
function circles(): string[][] {
  const targets = new Map(files.map(file => [file, [] as string[]]))
  for (const { from, to } of imports) targets.get(from)?.push(to)
  const found: string[][] = []
  const seenAt = new Map<string, number>()
  const stack: string[] = []
  const visit = (file: string): number => {
    const at = seenAt.size
    seenAt.set(file, at)
    stack.push(file)
    let lowest = at
    for (const target of targets.get(file) ?? []) {
      const seen = seenAt.get(target)
      if (seen === undefined) lowest = Math.min(lowest, visit(target))
      else if (stack.includes(target)) lowest = Math.min(lowest, seen)
    }
    if (lowest === at) {
      const circle = stack.splice(stack.indexOf(file))
      if (circle.length > 1) found.push(circle)
    }
    return lowest
  }
  for (const file of files) if (!seenAt.has(file)) visit(file)
  return found
}
