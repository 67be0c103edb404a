import { cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, type Plugin, stop } from 'esbuild'
import { type GuardRemoval, removeGuard } from '../guard-removals.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const scripts = 'src/server/store/redis/scripts'

/** The programs of a run. */
export type Bundle = { node: string; load: string }

/** Bundles both programs into a directory, so that processes start fast, and removes a guard if one is named. */
export async function bundle(directory: string, removal?: GuardRemoval): Promise<Bundle> {
  // The bundle reads scripts from `../scripts` and the version from `../../../package.json`, as sources do.
  const programs = join(directory, 'src/server/programs')
  await mkdir(programs, { recursive: true })
  await symlink(join(root, 'node_modules'), join(directory, 'node_modules'))
  await cp(join(root, 'package.json'), join(directory, 'package.json'))
  await copyScripts(join(directory, 'src/server/scripts'), removal)
  await build({
    entryPoints: { node: join(root, 'chaos/processes/node-main.ts'), load: join(root, 'chaos/load/load-main.ts') },
    outdir: programs,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    packages: 'external',
    logLevel: 'warning',
    plugins: removal ? [patch(removal)] : [],
  })
  await stop()
  return { node: join(programs, 'node.mjs'), load: join(programs, 'load.mjs') }
}

/** Copies the Lua scripts. */
async function copyScripts(to: string, removal: GuardRemoval | undefined): Promise<void> {
  await cp(join(root, scripts), to, { recursive: true })
  if (!removal?.file.startsWith(scripts)) return
  const file = join(to, relative(scripts, removal.file))
  await writeFile(file, removeGuard(removal, await readFile(file, 'utf8')))
}

const patch = (removal: GuardRemoval): Plugin => ({
  name: 'remove-a-guard',
  setup: ({ onLoad }) => {
    onLoad({ filter: /\.ts$/ }, async ({ path }) => {
      if (relative(root, path) !== removal.file) return undefined
      return { loader: 'ts', contents: removeGuard(removal, await readFile(path, 'utf8')) }
    })
  },
})
