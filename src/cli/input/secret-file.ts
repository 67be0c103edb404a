import { readFileSync } from 'node:fs'
import { asError } from '../../util/as-error.ts'
import { usageError } from '../base/failure.ts'

/** Returns the trimmed text of a file given by an option. @throws {CliError} `usage` */
export function readSecretFile(option: string, file: string): string {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch (error) {
    throw usageError(`${option} cannot be read (${asError(error).message})`)
  }
}
