import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { readEvidence, readRows } from '../scripts/list-evidence.ts'
import { settings } from '../src/server/base/config.ts'
import { temporaryDirectory } from '../tools/clients/agents.ts'
import { importsOf, sourceFiles } from '../tools/source-imports.ts'
import { tableUnder } from './fixtures/document-tables.ts'

const text = readFileSync(new URL('../docs/SECURITY.md', import.meta.url), 'utf8')
const read = (name: string): unknown => JSON.parse(readFileSync(new URL(`../${name}`, import.meta.url), 'utf8'))
const manifest = Object(read('package.json'))
type Locked = {
  optional?: boolean
  hasInstallScript?: boolean
  integrity?: string
  version?: string
  dev?: boolean
  dependencies?: Record<string, string>
  optionalDependencies?: Record<string, string>
  peerDependencies?: Record<string, string>
  peerDependenciesMeta?: Record<string, { optional?: boolean }>
}
const lock: Record<string, Locked> = Object(read('package-lock.json')).packages

/** Packages that src imports: they are installed with the package, or bundled into it. */
const used = new Set(
  sourceFiles('src')
    .flatMap(importsOf)
    .filter(({ to, isPackage }) => isPackage && !to.startsWith('node:'))
    .map(({ to }) => to.split('/', to.startsWith('@') ? 2 : 1).join('/')),
)

/** Places in the lock file of these packages and of all that they need. */
function withNeeds(names: Iterable<string>): string[] {
  const places = new Set<string>()
  const visit = (name: string, from: string): void => {
    const folders = from.split('/node_modules/').map((_, at, all) => all.slice(0, at + 1).join('/node_modules/'))
    const candidates = folders.reverse().map(folder => `${folder}/node_modules/${name}`)
    const place = [...candidates, `node_modules/${name}`].find(candidate => lock[candidate])
    if (place === undefined || places.has(place)) return
    places.add(place)
    const { dependencies, optionalDependencies, peerDependencies = {}, peerDependenciesMeta = {} } = lock[place] ?? {}
    const peers = Object.keys(peerDependencies).filter(peer => !peerDependenciesMeta[peer]?.optional)
    for (const need of [...Object.keys({ ...dependencies, ...optionalDependencies }), ...peers]) visit(need, place)
  }
  for (const name of names) visit(name, '')
  return [...places]
}

const production = withNeeds(used)

const { ids, linked } = readRows('SECURITY')

t.test('each row has a test, or says why there is none', async t => {
  const marked = new Set(readEvidence().evidence.flatMap(one => one.ids))
  t.ok(ids.length >= 50, `${ids.length} rows`)
  for (const id of ids) {
    const [, subject = '', body = ''] =
      new RegExp(`^\\*\\*\\[?${id}\\b(?:\\]\\(\\S+\\))?(.+?)\\*\\*\n(.+?)\n\n`, 'ms').exec(text) ?? []
    t.ok(subject.trim() && body.trim(), id)
    t.equal(marked.has(id), !/No test: .{20}/.test(body), `${id} has tests, or says in words why there is none`)
    t.equal(linked.includes(id), marked.has(id), `${id} is a link if it has tests`)
    if (id.startsWith('X')) t.match(body, /^- Gets: .+^- Prevents more: ./ms, id)
  }
})

t.test(
  'all attackers, all items of the WebSocket cheat sheet and all ten risks of the API Top 10 are there',
  async t => {
    const numbered = (prefix: string, count: number) => Array.from({ length: count }, (_, at) => `${prefix}${at + 1}`)
    t.same(ids, [...numbered('X', 14), ...numbered('W', 26), ...numbered('API', 10)])
  },
)

t.test('the page names only variables that there are', async t => {
  const named = [...text.matchAll(/`([A-Z]+(?:_[A-Z]+)+)(?:=[a-z]+)?`/g)].map(([, name = '']) => name)
  const others = ['AIMESSAGE_ADMIN_TOKEN', 'AIMESSAGE_PASSPHRASE']
  for (const name of named) t.ok(Object.hasOwn(settings, name) || others.includes(name), name)
})

t.test('the page gives a reason for every package that is installed or bundled, and their numbers', async t => {
  const listed = tableUnder(text, 'Production dependencies')
  const names = listed.flatMap(([cell = '']) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name))
  t.same(names.sort(), [...used].sort())
  for (const [cell, why = ''] of listed) t.ok(why.length > 10, String(cell))
  for (const name of Object.keys(manifest.dependencies)) t.ok(used.has(name), `${name} is used`)
  const installed = Object.entries(lock).filter(([name, { dev }]) => name !== '' && !dev)
  const native = installed.filter(([, { optional }]) => optional)
  const flat = text.replaceAll('\n', ' ')
  t.ok(flat.includes(`brings ${installed.length} packages`), `${installed.length} packages are installed`)
  t.ok(flat.includes(`with ${native.length} binaries`), `${native.length} of them are optional`)
  t.ok(flat.includes(`are ${production.length} packages`), `${production.length} packages together`)
})

// Evidence: X14, W26
t.test('no production dependency runs a script when it is installed, and each is pinned by its hash', async t => {
  for (const place of production) {
    const { hasInstallScript, integrity } = lock[place] ?? {}
    t.notOk(hasInstallScript, `${place} has no install script`)
    t.match(integrity, /^sha512-/, `${place} is pinned`)
  }
  const versions = { ...manifest.devDependencies, ...manifest.dependencies }
  for (const name of used) t.match(versions[name], /^\d/, `${name} is one version`)
  for (const script of ['preinstall', 'install', 'postinstall']) t.notOk(manifest.scripts[script], script)
})

t.test('a bundle has no package that the table does not lead to', async t => {
  const licences = readFileSync(new URL('../dist/LICENSES.txt', import.meta.url), 'utf8')
  const named = [...licences.matchAll(/(?:^|-{80}\n\n)(\S+) v?(\S+) \(/g)].map(
    ([, name, version]) => `${name}@${version}`,
  )
  t.ok(named.length > 50, `${named.length} packages in the bundles`)
  const known = new Set(production.map(nameAndVersion))
  for (const one of named) t.ok(known.has(one), one)
})

const nameAndVersion = (place: string): string => `${place.split('node_modules/').at(-1)}@${lock[place]?.version}`

t.test('the commands of the page make a bill of materials with all of these packages, and no other', async t => {
  const commands = text.split('A bill of materials')[1]?.match(/(?<=^ {4}).+$/gm) ?? []
  const root = fileURLToPath(new URL('..', import.meta.url))
  const env = { PATH: process.env.PATH, HOME: process.env.HOME, TMPDIR: await temporaryDirectory(t) }
  const said = execFileSync('bash', ['-ec', commands.join('\n')], { cwd: root, env, encoding: 'utf8' })
  const bill = Object(JSON.parse(readFileSync(said.trim().split('\n').at(-1) ?? '', 'utf8')))
  const named: string[] = bill.components.map((one: { name: string; version: string; hashes?: unknown[] }) => {
    t.ok(one.hashes?.length, `${one.name} has its hash`)
    return `${one.name}@${one.version}`
  })
  t.same(new Set(named), new Set(production.map(nameAndVersion)))
  t.equal(bill.metadata.component.name, 'aimessage')
})
