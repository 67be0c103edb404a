import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'

const run = promisify(execFile)
const root = fileURLToPath(new URL('..', import.meta.url))
// NODE_OPTIONS would load the loaders of tap.
const { NODE_OPTIONS: _loaders, ...env } = process.env

type Packed = { integrity: string; filename: string; files: string[] }

async function temporary(t: Test | typeof import('tap').t): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'aimessage-pack-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  return directory
}

async function packIn(directory: string, ...options: string[]): Promise<Packed> {
  const { stdout } = await run('npm', ['pack', '--json', '--loglevel=error', ...options], { cwd: directory, env })
  const [{ integrity, filename, files }] = JSON.parse(stdout.slice(stdout.indexOf('[\n')))
  return { integrity, filename, files: files.map(({ path }: { path: string }) => path) }
}

/** Builds and packs a copy of the sources in a temporary directory. */
async function packCopy(t: Test): Promise<Packed> {
  const directory = await temporary(t)
  const skipped = /^(?:node_modules|dist|\.build|\.git|\.tap|\.hosts|bench|chaos|fuzz|hosts|test)(?:\/|$)/
  await cp(root, directory, { recursive: true, filter: from => !skipped.test(from.slice(root.length)) })
  await symlink(join(root, 'node_modules'), join(directory, 'node_modules'))
  return packIn(directory, '--dry-run')
}

/** Installs the packed package in an empty directory, with links to the given packages of this checkout. */
async function install(t: Test, tarball: string, packages: readonly string[]): Promise<string> {
  const project = await temporary(t)
  const installed = join(project, 'node_modules', 'aimessage')
  await mkdir(installed, { recursive: true })
  await run('tar', ['-xzf', tarball, '-C', installed, '--strip-components=1'])
  await mkdir(join(project, 'node_modules', '@types'))
  for (const name of packages) await symlink(join(root, 'node_modules', name), join(project, 'node_modules', name))
  await writeFile(join(project, 'package.json'), '{ "type": "module", "private": true }')
  return project
}

const packDirectory = await temporary(t)
const packed = await packIn(root, '--ignore-scripts', '--pack-destination', packDirectory)
const tarball = join(packDirectory, packed.filename)

t.test('two packs of the same sources have the same bytes, and contain no tests and no secrets', async t => {
  const second = await packCopy(t)
  t.match(packed.integrity, /^sha512-/)
  t.comment(`${packed.files.length} files, ${packed.integrity}`)
  t.equal(packed.integrity, second.integrity)
  t.ok(packed.files.includes('dist/server/run.js') && packed.files.includes('docs/SECURITY.md'))
  t.same(
    packed.files.filter(
      path =>
        !/^(?:bin|dist|docs|examples)\/|^(?:\.env\.example|LICENSE|README\.md|CHANGELOG\.md|package\.json)$/.test(path),
    ),
    [],
  )
})

/** A program that uses what only Node has, and one that uses what only browsers have. */
const nodeProgram = (from: string) => `
import { exportAgent, importAgent, openClient, openDirectoryStore, StateError, type Client } from '${from}'
const store = await openDirectoryStore('/tmp/x', { secret: { type: 'key', key: new Uint8Array(32) } })
export const client: Client = await openClient({ server: 'ws://localhost:1', store, caFile: '/x' })
client.on('undecryptable', event => console.log(event.from))
for await (const message of client.receive({ count: 1 })) console.log(message.text?.length, message.json)
await exportAgent('a', 'b', { type: 'passphrase', passphrase: 'x' })
await importAgent('a', 'b', { secret: { type: 'passphrase', passphrase: 'x' } })
export const retry = await client.send('bob', 'x').then(({ queued }) => queued, (error: StateError): boolean => error.retry)
`
const browserProgram = (from: string) => `
import { openClient, openEncryptedStore, openIndexedDbStore, ProtocolError, type ListedUser } from '${from}'
const store = await openIndexedDbStore('agent')
export const isKept: boolean = await store.isPersistent
const client = await openClient({ server: 'wss://agents.example', store: await openEncryptedStore(store, { type: 'passphrase', passphrase: 'x' }) })
export const users: ListedUser[] = []
for await (const user of client.users({ online: true })) users.push(user)
export const isFinal = (error: ProtocolError): boolean => !error.retry
`
const common = { strict: true, noEmit: true, skipLibCheck: false, target: 'es2023', exactOptionalPropertyTypes: true }
const forNode = { ...common, lib: ['es2023'], types: ['node'] }
const forBrowser = { ...common, lib: ['es2023', 'dom', 'dom.iterable'], types: [] }
const bundler = { module: 'esnext', moduleResolution: 'bundler' }

t.test('18.12 TypeScript gets the right types in Node and in browsers, with every way to resolve modules', async t => {
  const project = await install(t, tarball, ['@types/node', 'undici-types'])
  const compile = async (files: Record<string, string>, compilerOptions: object): Promise<string> => {
    const names = Object.entries(files).map(async ([name, text]) => {
      await writeFile(join(project, name), text)
      return name
    })
    const config = join(project, 'tsconfig.json')
    await writeFile(config, JSON.stringify({ compilerOptions, files: await Promise.all(names) }))
    const compiler = join(root, 'node_modules/typescript/bin/tsc')
    return run(process.execPath, [compiler, '-p', config], { cwd: project, env }).then(
      ({ stdout }) => stdout,
      ({ stdout }) => String(stdout),
    )
  }
  const nodePrograms = { 'a.ts': nodeProgram('aimessage'), 'b.ts': nodeProgram('aimessage/node') }
  const browserPrograms = { 'a.ts': browserProgram('aimessage'), 'b.ts': browserProgram('aimessage/browser') }
  for (const module of ['node16', 'nodenext'])
    t.equal(await compile(nodePrograms, { ...forNode, module, moduleResolution: module }), '', `Node, ${module}`)
  t.equal(await compile(nodePrograms, { ...forNode, ...bundler }), '', 'Node, bundler')
  t.equal(await compile(browserPrograms, { ...forBrowser, ...bundler }), '', 'browser, bundler')
  const named = { 'b.ts': browserProgram('aimessage/browser') }
  t.equal(await compile(named, { ...forBrowser, module: 'nodenext' }), '', 'browser, nodenext')
  const mixed = { 'a.ts': nodeProgram('aimessage/browser'), 'b.ts': browserProgram('aimessage/node') }
  const errors = await compile(mixed, { ...forBrowser, ...bundler })
  t.match(errors, /a\.ts.*has no exported member named 'openDirectoryStore'/, 'no store of Node in a browser')
  t.match(errors, /b\.ts.*has no exported member 'openIndexedDbStore'/, 'no store of a browser in Node')
})

t.test('18.12 without the native module of libsql, everything but a state directory works', async t => {
  const project = await install(t, tarball, [])
  const program = `
    import { createRequire } from 'node:module'
    import { openClient, openDirectoryStore, openMemoryStore } from 'aimessage'
    import { openClient as same } from 'aimessage/node'
    import { openIndexedDbStore } from 'aimessage/browser'
    const client = await openClient({ server: 'ws://127.0.0.1:1', store: openMemoryStore() })
    const error = await openDirectoryStore('./state').catch(error => error)
    const { openClient: required } = createRequire(import.meta.url)('aimessage')
    const kinds = [same === openClient, typeof required, typeof openIndexedDbStore]
    console.log(JSON.stringify({ account: client.account, code: error.code, retry: error.retry, text: error.message, kinds }))
    await client.close()`
  await writeFile(join(project, 'program.js'), program)
  const { stdout } = await run(process.execPath, ['program.js'], { cwd: project, env })
  t.match(JSON.parse(stdout), {
    account: null,
    code: 'native_missing',
    retry: false,
    text: /native module of the package "libsql" .*--omit=optional/,
    kinds: [true, 'function', 'function'],
  })
  const command = join(project, 'node_modules/aimessage/bin/aimessage.js')
  const help = await run(process.execPath, [command, '--help'], { cwd: project, env })
  t.match(help.stdout, /register/)
  const failed = await run(process.execPath, [command, 'register', 'alice', '--home', join(project, 'home')], {
    env,
  }).catch(error => error)
  t.match(failed.stderr, /^aimessage: .*libsql.*\(state_native_missing\)\n$/)
  t.equal(failed.code, 5)
})

t.test('18.14 no package of the lock file asks for a newer Node than this one supports', async t => {
  const { satisfies } = createRequire(import.meta.url)('semver')
  const { engines } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
  const [, oldest] = /^>=(\d+\.\d+\.\d+)$/.exec(engines.node) ?? []
  const { packages } = JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8'))
  const refusing = Object.entries<{ engines?: { node?: string } }>(packages).filter(
    ([, { engines }]) => engines?.node !== undefined && !satisfies(oldest, engines.node),
  )
  t.same(
    refusing.map(([path]) => path),
    [],
  )
})
