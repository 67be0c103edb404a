import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = new URL('../', import.meta.url)

/** Part of util-linux. Where it is missing (macOS), a child outlives a parent that SIGKILL ended. */
const setpriv = '/usr/bin/setpriv'
const hasSetpriv = existsSync(setpriv)

/**
 * Arguments that make `spawn` and `execFile` start a program that ends with this process, however this process ends.
 * The kernel sends the SIGKILL (`PR_SET_PDEATHSIG`). The program keeps the process id that `spawn` returns.
 */
export const endingWithParent = (command: string, args: readonly string[]): [command: string, args: string[]] =>
  hasSetpriv ? [setpriv, ['--pdeathsig', 'KILL', '--', command, ...args]] : [command, [...args]]

/** As `endingWithParent`, for a Node program. */
export const nodeEndingWithParent = (...args: readonly string[]): [command: string, args: string[]] =>
  endingWithParent(process.execPath, args)

/** The built file of a source of `src/`, e.g. `cli/run`: children of tests run what users run. */
export const builtFile = (name: string): string => existing(`dist/${name}.js`)

/** The compiled file of a TypeScript program outside `src/`, e.g. `test/fixtures/processes/agent-main`. */
export const compiledProgram = (name: string): string => existing(`.build/${name}.js`)

/** @throws {Error} if the file is not built */
function existing(name: string): string {
  const file = fileURLToPath(new URL(name, root))
  if (!existsSync(file)) throw new Error(`${name} is missing; "node scripts/build-tests.js" builds it`)
  return file
}
