import { execFile } from 'node:child_process'
import { cp, mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'

const run = promisify(execFile)
const root = fileURLToPath(new URL('..', import.meta.url))

type Packed = { integrity: string; files: string[] }

async function packIn(directory: string, ...options: string[]): Promise<Packed> {
  // NODE_OPTIONS would load the loaders of tap.
  const command = ['unset NODE_OPTIONS; npm pack --json --dry-run --loglevel=error', ...options].join(' ')
  const { stdout } = await run('sh', ['-ec', command], { cwd: directory })
  const [{ integrity, files }] = JSON.parse(stdout.slice(stdout.indexOf('[\n')))
  return { integrity, files: files.map(({ path }: { path: string }) => path) }
}

/** Builds and packs a copy of the sources in a temporary directory. */
async function packCopy(t: Test): Promise<Packed> {
  const directory = await mkdtemp(join(tmpdir(), 'aimessage-pack-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  const skipped = /^(?:node_modules|dist|\.build|\.git|\.tap|\.hosts|bench|chaos|fuzz|hosts|test)(?:\/|$)/
  await cp(root, directory, { recursive: true, filter: from => !skipped.test(from.slice(root.length)) })
  await symlink(join(root, 'node_modules'), join(directory, 'node_modules'))
  return packIn(directory)
}

t.test('two packs of the same sources have the same bytes, and contain no tests and no secrets', async t => {
  const first = await packIn(root, '--ignore-scripts')
  const second = await packCopy(t)
  t.match(first.integrity, /^sha512-/)
  t.comment(`${first.files.length} files, ${first.integrity}`)
  t.equal(first.integrity, second.integrity)
  t.ok(first.files.includes('dist/server/run.js') && first.files.includes('docs/SECURITY.md'))
  t.same(
    first.files.filter(
      path =>
        !/^(?:bin|dist|docs|examples)\/|^(?:\.env\.example|LICENSE|README\.md|CHANGELOG\.md|package\.json)$/.test(path),
    ),
    [],
  )
})
