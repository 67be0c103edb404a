// Makes dist/ from src/: the programs and the library with the packages they use, in few files, because a command that loads hundreds of small
// modules spends most of its time on loading. Only what cannot be in a bundle is a dependency of the package (and typebox, which its types refer to). Nothing is minified: a stack trace
// shows the names of the sources. Types come from the compiler (tsconfig.build.json).
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

/** A file that a module reads is at the same place relative to it in dist/ as in src/ (or, for @fastify/swagger-ui, in its package). */
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

/** typebox runs nothing when it is imported, but does not say so in its package.json: a command loads only the parts that it uses. */
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

/** Packages in CommonJS load modules of Node by `require`. */
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
  // libsql has a native module for each platform. supports-color is only here because of a development tool: debug, which
  // ioredis uses, tries to load it and continues without.
  external: ['libsql', 'supports-color'],
  plugins: [filesBesideModules, typeboxIsPure],
})
const browser = await build({
  ...shared,
  entryPoints: ['src/client/browser.ts'],
  platform: 'browser',
  plugins: [typeboxIsPure],
})

for (const entry of readdirSync(source, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || entry.name.endsWith('.ts')) continue
  const path = join(entry.parentPath, entry.name)
  cpSync(path, join(target, relative(source, path)))
}
cpSync(join(root, 'node_modules/@fastify/swagger-ui/static'), join(target, 'swagger-ui/static'), { recursive: true })

/** Directories of the packages that are in a bundle. */
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
