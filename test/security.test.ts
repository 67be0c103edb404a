import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { settings } from '../src/server/base/config.ts'
import { temporaryDirectory } from '../tools/clients/agents.ts'
import { besidesCitations, checkCitations, citationsIn, tableUnder } from './fixtures/citations.ts'

const page = new URL('../docs/SECURITY.md', import.meta.url)
const text = readFileSync(page, 'utf8')
const read = (name: string): unknown => JSON.parse(readFileSync(new URL(`../${name}`, import.meta.url), 'utf8'))
const manifest = Object(read('package.json'))
const lock: Record<
  string,
  { dev?: boolean; optional?: boolean; hasInstallScript?: boolean; integrity?: string; version?: string }
> = Object(read('package-lock.json')).packages

t.test('every test that the page names exists', async t => {
  t.ok(citationsIn(text).length > 60)
  checkCitations(t, page, text)
})

/** Headings whose tables end with a column of tests. */
const tested = ['Attackers', 'OWASP WebSocket Security Cheat Sheet', 'OWASP API Security Top 10, 2023']
for (const heading of tested) {
  t.test(`every row of “${heading}” names a test, or says in words why there is none`, async t => {
    const rows = tableUnder(text, heading)
    t.ok(rows.length >= 9, `${rows.length} rows`)
    for (const row of rows) {
      const cell = row.at(-1) ?? ''
      t.ok(
        row.every(one => one !== ''),
        String(row[0]),
      )
      if (cell.startsWith('none: ')) t.ok(cell.length > 20, String(row[0]))
      else t.same([besidesCitations(cell), citationsIn(cell).length > 0], ['', true], String(row[0]))
    }
  })
}

t.test('all ten risks of the API Security Top 10 are there', async t => {
  const risks = tableUnder(text, 'OWASP API Security Top 10, 2023').map(([risk = '']) => risk.split(' ')[0])
  t.same(
    risks,
    Array.from({ length: 10 }, (_, at) => `API${at + 1}`),
  )
})

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
