import { spawnSync } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { Teardown } from '../tools/teardown.ts'
import { ClaudeCode, claudeCode } from './claude-code.ts'
import { insideVariable, isIsolated, runIsolated, startLoopback } from './namespace.ts'
import type { Proof } from './proof.ts'
import { mcpTools } from './proofs/mcp-tools.ts'

/**
 * `npm run hosts [-- --directory DIR --install --only NAME]` runs real agent hosts against this product, with a
 * scripted model in place of theirs, in a network namespace that has loopback alone. The hosts are not dependencies:
 * they are installed in DIR, by default `.hosts`. Exit code: 0 if all holds, 1 if something does not, 2 if nothing
 * could be run.
 */
const { values: options } = parseArgs({
  options: {
    directory: { type: 'string', default: '.hosts' },
    install: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true },
  },
})
const directory = resolve(options.directory)
const proofs: readonly Proof[] = [mcpTools]
const chosen = proofs.filter(({ name }) => options.only?.includes(name) ?? true)

const print = (text: string): void => void process.stdout.write(`${text}\n`)

/** Returns the program of the host, or says how to get it. */
function findHost(): string | undefined {
  const wanted = `${claudeCode.package}@${claudeCode.version}`
  const install = ['install', '--prefix', directory, '--no-audit', '--no-fund', wanted]
  if (options.install) spawnSync('npm', install, { stdio: 'inherit' })
  const program = ClaudeCode.programIn(directory)
  if (program === undefined) {
    print(
      `${claudeCode.title} is not installed in ${directory}, so nothing was proved. To install it from the registry:`,
    )
    print('  npm run hosts -- --install')
  }
  return program
}

async function prove(program: string, home: string): Promise<boolean> {
  let failures = 0
  for (const { name, title, run } of chosen) {
    print(`${claudeCode.title}, ${name}: ${title}`)
    const owner = new Teardown()
    const check = (what: string, holds: boolean, seen: unknown) => {
      print(`  ${holds ? 'holds' : 'FAILS'}: ${what}`)
      if (holds) return
      failures += 1
      print(`    ${JSON.stringify(seen)?.slice(0, 2_000)}`)
    }
    const start = performance.now()
    try {
      await mkdir(join(home, name), { recursive: true })
      await run({ owner, home: join(home, name), program, check })
    } catch (error) {
      check('runs to its end', false, error instanceof Error ? error.stack : error)
    } finally {
      await owner.run()
    }
    print(`  ${((performance.now() - start) / 1_000).toFixed(1)} s`)
  }
  return failures === 0
}

async function main(): Promise<number> {
  const home = process.env[insideVariable]
  if (home === undefined) {
    if (findHost() === undefined || chosen.length === 0) return 2
    const owner = new Teardown()
    const only = chosen.flatMap(({ name }) => ['--only', name])
    try {
      return await runIsolated(owner, ['--directory', directory, ...only])
    } finally {
      await owner.run()
    }
  }
  startLoopback()
  if (!isIsolated()) {
    print('more than loopback can be reached here: nothing was run')
    return 2
  }
  const program = ClaudeCode.programIn(directory)
  return program !== undefined && (await prove(program, home)) ? 0 : 1
}

process.exit(await main())
