import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { readEvidence, readRows } from '../scripts/list-evidence.ts'
import { settings } from '../src/server/base/config.ts'
import { temporaryDirectory } from '../tools/clients/agents.ts'
import { tableUnder } from './fixtures/document-tables.ts'

const text = readFileSync(new URL('../docs/SECURITY.md', import.meta.url), 'utf8')
const read = (name: string): unknown => JSON.parse(readFileSync(new URL(`../${name}`, import.meta.url), 'utf8'))
const manifest = Object(read('package.json'))
const lock: Record<
  string,
  { dev?: boolean; optional?: boolean; hasInstallScript?: boolean; integrity?: string; version?: string }
> = Object(read('package-lock.json')).packages

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

t.test('the page gives a reason for every production dependency, and their number', async t => {
  const listed = tableUnder(text, 'Production dependencies')
  const names = listed.flatMap(([cell = '']) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name))
  t.same(names.sort(), Object.keys(manifest.dependencies).sort())
  for (const [cell, why = ''] of listed) t.ok(why.length > 10, String(cell))
  const packages = Object.entries(lock).filter(([name, { dev }]) => name !== '' && !dev)
  const native = packages.filter(([, { optional }]) => optional)
  t.ok(text.includes(`${names.length} of its own`), `${names.length} of its own`)
  t.ok(text.includes(`${packages.length} packages`), `${packages.length} packages`)
  t.ok(text.includes(`${native.length} of them`), `${native.length} of them are optional`)
})

// Evidence: X14, W26
t.test('no production dependency runs a script when it is installed, and each is pinned by its hash', async t => {
  for (const [name, { dev, hasInstallScript, integrity }] of Object.entries(lock)) {
    if (name === '' || dev) continue
    t.notOk(hasInstallScript, `${name} has no install script`)
    t.match(integrity, /^sha512-/, `${name} is pinned`)
  }
  for (const [name, version] of Object.entries(manifest.dependencies)) t.match(version, /^\d/, `${name} is one version`)
  for (const script of ['preinstall', 'install', 'postinstall', 'prepare']) t.notOk(manifest.scripts[script], script)
})

t.test(
  'the commands of the page make a bill of materials with every production dependency in it, and no other',
  async t => {
    const commands = text.split('A bill of materials')[1]?.match(/(?<=^ {4}).+$/gm) ?? []
    const root = fileURLToPath(new URL('..', import.meta.url))
    const env = { PATH: process.env.PATH, HOME: process.env.HOME, TMPDIR: await temporaryDirectory(t) }
    const said = execFileSync('bash', ['-ec', commands.join('\n')], { cwd: root, env, encoding: 'utf8' })
    const bill = Object(JSON.parse(readFileSync(said.trim().split('\n').at(-1) ?? '', 'utf8')))
    const named: string[] = bill.components.map((one: { name: string; version: string; hashes?: unknown[] }) => {
      t.ok(one.hashes?.length, `${one.name} has its hash`)
      return `${one.name}@${one.version}`
    })
    const locked = Object.entries(lock).filter(([name, { dev }]) => name !== '' && !dev)
    const versions = locked.map(([name, { version }]) => `${name.split('node_modules/').at(-1)}@${version}`)
    t.same(new Set(named), new Set(versions))
    t.equal(bill.metadata.component.name, 'aimessage')
  },
)
