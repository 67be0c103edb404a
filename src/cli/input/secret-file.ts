import { readFileSync } from 'node:fs'
import { asError } from '../../util/as-error.ts'
import { usageError } from '../base/failure.ts'

/** The text of a file that an option names, without what stands around it. @throws {CliError} usage */
export function readSecretFile(option: string, file: string): string {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch (error) {
    throw usageError(`${option} cannot be read (${asError(error).message})`)
  }
}
