import { CommanderError } from 'commander'
import type { Start } from './base/context.ts'
import { exitCodes } from './base/exit-codes.ts'
import { exitCodeOf, toFailure } from './base/failure.ts'
import { Interruption } from './base/interruption.ts'
import { readSettings, type SharedOptions } from './base/options.ts'
import { Output, OutputClosedError } from './base/output.ts'
import { buildProgram } from './program.ts'

/** Runs one command line (without the names of node and script). Answers what to exit with; never throws. */
export async function main(argv: readonly string[]): Promise<number> {
  // A reader that goes is told by the callback of the write that met it.
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
      await work({ settings: readSettings(options), output, interruption })
      if (interruption.signal.aborted) exitCode = interruption.exitCode
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
  // Help or the version was asked for, and has been written.
  if (error instanceof CommanderError && error.exitCode === 0) return exitCodes.done.code
  const failure = toFailure(error)
  output.fail(failure)
  return exitCodeOf(failure)
}

/** For what is wrong before options are known. */
function asksForJson(argv: readonly string[]): boolean {
  const end = argv.indexOf('--')
  return argv.slice(0, end < 0 ? argv.length : end).includes('--json')
}
