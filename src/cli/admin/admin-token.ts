import { usageError } from '../base/failure.ts'
import { readSecretFile } from '../input/secret-file.ts'

/** Not an option: every user of the machine can see command lines. The nodes read the second variable. */
export const adminTokenVariables = ['AIMESSAGE_ADMIN_TOKEN', 'ADMIN_TOKEN'] as const

/**
 * Returns the administration token from a file or the environment. An empty variable counts as not set.
 * @throws {CliError} `usage`
 */
export function readAdminToken(file: string | undefined, env: NodeJS.ProcessEnv = process.env): string {
  const token = file === undefined ? fromEnvironment(env) : readSecretFile('--token-file', file)
  if (token === undefined) {
    throw usageError(`the administration token is missing: set ${adminTokenVariables[0]}, or give a --token-file`)
  }
  if (/^[!-~]+$/.test(token)) return token
  throw usageError('the administration token is printable ASCII without spaces; this one is not')
}

const fromEnvironment = (env: NodeJS.ProcessEnv): string | undefined =>
  adminTokenVariables.map(name => env[name]).find(token => token)
