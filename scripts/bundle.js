// Builds dist/ from src/: the programs and the library, with the packages that they use, in few files. A command that
// loads hundreds of small modules would spend most of its time on loading them. `dependencies` in package.json has
// only libsql, which cannot be bundled. Nothing is minified, so that a stack trace shows the names of the sources. The
// compiler emits the type declarations (tsconfig.build.json), and prune-types.js removes those that nobody can reach.
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = fileURLToPath(new URL('..', import.meta.url))
const source = join(root, 'src')
const target = join(root, 'dist')
const chunks = join(target, 'chunks')

const shared = {
  absWorkingDir: root,
  outbase: 'src',
  outdir: target,
  bundle: true,
  format: 'esm',
  target: 'es2023',
  charset: 'utf8',
  legalComments: 'none',
  preserveSymlinks: true,
  metafile: true,
  logLevel: 'warning',
}

/**
 * Lets modules in a chunk find the files that they read: a file of src/ is at the same path in dist/, and the static
 * files of @fastify/swagger-ui are in dist/swagger-ui/.
 */
const filesBesideModules = {
  name: 'files-beside-modules',
  setup({ onLoad }) {
    onLoad({ filter: /[/\\]src[/\\].*\.ts$/ }, ({ path }) => {
      const place = JSON.stringify(relative(chunks, join(target, relative(source, path))))
      const contents = readFileSync(path, 'utf8').replaceAll('import.meta.url', `new URL(${place}, import.meta.url)`)
      return { contents, loader: 'ts' }
    })
    onLoad({ filter: /[/\\]@fastify[/\\]swagger-ui[/\\](?:index|lib[/\\]routes)\.js$/ }, ({ path }) => {
      const place = path.includes('routes') ? '/../swagger-ui/lib' : '/../swagger-ui'
      const contents = readFileSync(path, 'utf8').replaceAll('__dirname', `(chunksDirectory + '${place}')`)
      return { contents, loader: 'js' }
    })
  },
}

/** Declares typebox free of side effects, which its package.json does not, so that only the used parts are bundled. */
const typeboxIsPure = {
  name: 'typebox-is-pure',
  setup({ onResolve, resolve }) {
    onResolve({ filter: /^typebox|\.mjs$/ }, async ({ path, pluginData, ...from }) => {
      if (
        pluginData === 'resolved' ||
        !(path.startsWith('typebox') || from.resolveDir.includes('/node_modules/typebox/'))
      )
        return
      return { ...(await resolve(path, { ...from, pluginData: 'resolved' })), sideEffects: false }
    })
  },
}

/**
 * Without code generation from strings: typebox would try it once, and a page with a Content Security Policy would
 * report that as a violation. It checks the same without, only slower.
 */
const noEvaluation = {
  name: 'no-evaluation',
  setup({ onLoad }) {
    onLoad({ filter: /[/\\]typebox[/\\]build[/\\]system[/\\]environment[/\\]evaluate\.mjs$/ }, ({ path }) => {
      const contents = readFileSync(path, 'utf8').replace("Evaluate('null')();", 'return false;')
      if (!contents.includes('return false;\n        return true;'))
        throw new Error('typebox has changed: see bundle.js')
      return { contents, loader: 'js' }
    })
  },
}

/** Bundled CommonJS packages load modules of Node with `require`. */
const banner = `import { createRequire } from 'node:module'
const require = createRequire(import.meta.url)
const chunksDirectory = import.meta.dirname`

rmSync(target, { recursive: true, force: true })
const node = await build({
  ...shared,
  entryPoints: ['src/cli/run.ts', 'src/server/run.ts', 'src/client/node.ts'],
  chunkNames: 'chunks/[name]-[hash]',
  splitting: true,
  platform: 'node',
  banner: { js: banner },
  // libsql loads a native module of the platform. debug, which ioredis uses, tries to load supports-color and continues
  // without it; a development tool brings it here.
  external: ['libsql', 'supports-color'],
  plugins: [filesBesideModules, typeboxIsPure],
})
const browser = await build({
  ...shared,
  entryPoints: ['src/client/browser.ts'],
  platform: 'browser',
  plugins: [typeboxIsPure, noEvaluation],
})

for (const entry of readdirSync(source, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || entry.name.endsWith('.ts')) continue
  const path = join(entry.parentPath, entry.name)
  cpSync(path, join(target, relative(source, path)))
}
cpSync(join(root, 'node_modules/@fastify/swagger-ui/static'), join(target, 'swagger-ui/static'), { recursive: true })

/** Directories of the bundled packages. */
const bundled = new Set(
  [node, browser].flatMap(({ metafile }) =>
    Object.keys(metafile.inputs).flatMap(input => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0] ?? []),
  ),
)

function licenceOf(directory) {
  const { name, version, license } = JSON.parse(readFileSync(join(root, directory, 'package.json'), 'utf8'))
  const files = readdirSync(join(root, directory)).filter(file => /^(?:licen[cs]e|notice|copying)/i.test(file))
  const texts = files.sort().map(file => readFileSync(join(root, directory, file), 'utf8').trim())
  return [`${name} ${version} (${license})`, ...texts].join('\n\n')
}

const licences = [...bundled].sort().map(licenceOf)
writeFileSync(join(target, 'LICENSES.txt'), `${licences.join(`\n\n${'-'.repeat(80)}\n\n`)}\n`)
