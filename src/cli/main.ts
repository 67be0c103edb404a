import { CommanderError } from 'commander'
import type { Context, Start } from './base/context.ts'
import { exitCodes } from './base/exit-codes.ts'
import { exitCodeOf, toFailure } from './base/failure.ts'
import { Interruption } from './base/interruption.ts'
import { readSettings, type SharedOptions } from './base/options.ts'
import { Output, OutputClosedError } from './base/output.ts'
import { buildProgram } from './program.ts'

/** Runs one command line (without the names of node and script). Returns the exit code; never throws. */
export async function main(argv: readonly string[]): Promise<number> {
  // The callback of a write reports a closed reader.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
  try {
    return await parse(argv)
  } catch (error) {
    return fail(new Output(asksForJson(argv)), error)
  }
}

async function parse(argv: readonly string[]): Promise<number> {
  let exitCode: number = exitCodes.done.code
  const start: Start = async (command, work) => {
    const options: SharedOptions = command.optsWithGlobals()
    const output = new Output(options.json ?? false)
    const interruption = new Interruption()
    try {
      const context: Context = { settings: readSettings(options), output, interruption }
      await work(context)
      if (interruption.signal.aborted) exitCode = interruption.exitCode
      else if (context.problem) exitCode = fail(output, context.problem)
    } catch (error) {
      exitCode = interruption.signal.aborted ? interruption.exitCode : fail(output, error)
    } finally {
      interruption.end()
    }
  }
  await buildProgram(start).parseAsync(argv, { from: 'user' })
  return process.exitCode === undefined ? exitCode : Number(process.exitCode)
}

function fail(output: Output, error: unknown): number {
  if (error instanceof OutputClosedError) return exitCodes.done.code
  // Commander has printed the help or the version.
  if (error instanceof CommanderError && error.exitCode === 0) return exitCodes.done.code
  const failure = toFailure(error)
  output.fail(failure)
  return exitCodeOf(failure)
}

/** Finds `--json` for errors that occur before the options are parsed. */
function asksForJson(argv: readonly string[]): boolean {
  const end = argv.indexOf('--')
  return argv.slice(0, end < 0 ? argv.length : end).includes('--json')
}
