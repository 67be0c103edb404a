// Builds what tests run, if it is out of date: `dist` for their children, and `.build`, where all tests and the
// programs that they start are bundled with their imports. Otherwise each of two hundred processes would read a
// thousand files. `tap run` runs this first.
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from 'esbuild'

const root = fileURLToPath(new URL('..', import.meta.url))
const sources = ['src', 'test', 'tools', 'chaos', 'bench', 'fuzz', 'scripts']
/** Programs that tests start. Chaos programs, nodes and commands are none of them: they have their own builds. */
const program =
  /^(?:test\/fixtures\/(?:crash\/agent|processes\/.*-main|state\/.*-process)\.ts|(?:chaos|fuzz|bench\/hostile)\/main\.ts)$/
/** They contain native code, or find files of theirs by their own path. */
const external = [
  'tap',
  '@seriousme/openapi-schema-validator',
  'libsql',
  'esbuild',
  'playwright-core',
  'tsx',
  '@fastify/swagger-ui',
  'pino',
  'thread-stream',
]

const keepMs = 3_600_000

const filesIn = folder =>
  readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name).slice(root.length))

const newest = files => Math.max(...files.map(file => statSync(join(root, file)).mtimeMs))
const modifiedMs = file => statSync(join(root, file), { throwIfNoEntry: false })?.mtimeMs ?? 0

function buildProduct() {
  if (
    modifiedMs('dist/cli/run.js') >
    newest([...filesIn('src'), 'tsconfig.json', 'scripts/bundle.js', 'tsconfig.build.json', 'package.json'])
  )
    return
  const { status } = spawnSync('npm', ['run', '--silent', 'build'], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  if (status !== 0) throw new Error('npm run build failed')
}

/** A bundle would have its own address for the files beside a source. */
const keepAddresses = {
  name: 'keep-addresses',
  setup: ({ onLoad }) => {
    onLoad({ filter: /\.ts$/ }, ({ path }) => {
      if (!path.startsWith(root) || path.includes('/node_modules/')) return undefined
      const contents = readFileSync(path, 'utf8')
      const address = JSON.stringify(pathToFileURL(path).href)
      return { loader: 'ts', contents: contents.replaceAll('import.meta.url', address) }
    })
  },
}

/** A run that goes on meanwhile still loads the files of the build before. */
function removeOld() {
  for (const file of filesIn('.build')) if (modifiedMs(file) < Date.now() - keepMs) rmSync(join(root, file))
}

async function bundleTests() {
  const files = sources.flatMap(filesIn)
  if (modifiedMs('.build/.built') > newest([...files, 'package.json', 'scripts/build-tests.js'])) return
  const startedS = Date.now() / 1_000
  const entryPoints = files.filter(file => file.endsWith('.test.ts') || program.test(file))
  await build({
    absWorkingDir: root,
    entryPoints,
    outdir: '.build',
    outbase: '.',
    bundle: true,
    splitting: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    sourcemap: true,
    sourcesContent: false,
    external,
    banner: {
      js: "import { createRequire as $createRequire } from 'node:module'; const require = $createRequire(import.meta.url);",
    },
    plugins: [keepAddresses],
    logLevel: 'warning',
  })
  removeOld()
  // Sources edited meanwhile are newer.
  writeFileSync(join(root, '.build/.built'), '')
  utimesSync(join(root, '.build/.built'), startedS, startedS)
}

buildProduct()
await bundleTests()
