import { usageError } from '../base/failure.ts'
import { readSecretFile } from '../input/secret-file.ts'

/** Never an option: command lines are seen by every user of the machine. The second is what a node itself is given. */
export const adminTokenVariables = ['AIMESSAGE_ADMIN_TOKEN', 'ADMIN_TOKEN'] as const

/**
 * The token that lets one administrate: of a file, or of the environment. An empty variable counts as not set.
 * @throws {CliError} usage
 */
export function readAdminToken(file: string | undefined, env: NodeJS.ProcessEnv = process.env): string {
  const token = file === undefined ? fromEnvironment(env) : readSecretFile('--token-file', file)
  if (token === undefined) {
    throw usageError(
      `the token of the administration is missing: set ${adminTokenVariables[0]}, or name a --token-file`,
    )
  }
  if (/^[!-~]+$/.test(token)) return token
  throw usageError('the token of the administration is printable ASCII without a space; this one is not')
}

const fromEnvironment = (env: NodeJS.ProcessEnv): string | undefined =>
  adminTokenVariables.map(name => env[name]).find(token => token)
