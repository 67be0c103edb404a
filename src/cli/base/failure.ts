import { ClientError, UnreachableError } from '../../client/base/errors.ts'
import { StateError, type StateErrorCode } from '../../client/state/state-error.ts'
import { CryptoError } from '../../crypto/errors.ts'
import { ProtocolError } from '../../protocol/errors.ts'
import { type Exit, exitCodes } from './exit-codes.ts'

/** How a command failed: what the process ends with, and what it says. */
export type Failure = { exit: Exit; code: string; message: string; retryAfter?: number }

/** Something that the command line itself found out. `exit` says which kind of failure it is. */
export class CliError extends Error {
  override readonly name = 'CliError'
  readonly exit: Exit
  readonly code: string

  constructor(exit: Exit, code: string, message: string) {
    super(message)
    this.exit = exit
    this.code = code
  }
}

export const usageError = (message: string): CliError => new CliError('usage', 'usage', message)

/** Codes of `ClientError` that are no refusal. */
const exitOf: Record<string, Exit> = {
  unreachable: 'unreachable',
  server_fault: 'unreachable',
  server_url: 'usage',
  not_registered: 'state',
  already_registered: 'state',
  unknown_peer: 'state',
  closed: 'fault',
}

/** Says of any error what it means to whoever called the command. The one table of this. */
export function toFailure(error: unknown): Failure {
  if (error instanceof CliError) return { exit: error.exit, code: error.code, message: error.message }
  if (error instanceof ProtocolError) return refusal(error)
  if (error instanceof StateError) return stateFailure(error)
  if (error instanceof CryptoError) return { exit: 'refused', code: error.code, message: error.message }
  if (error instanceof ClientError) {
    const { code, message } = error
    return { exit: exitOf[code] ?? 'refused', code, message, ...(error instanceof UnreachableError && waitOf(error)) }
  }
  return { exit: 'fault', code: 'fault', message: error instanceof Error ? error.message : String(error) }
}

/** What the command line offers beyond what the library says. */
const ways: Partial<Record<StateErrorCode, string>> = {
  secret_missing: ' Set AIMESSAGE_PASSPHRASE, or name the file with --key-file.',
}

const stateFailure = ({ code, message }: StateError): Failure => ({
  exit: 'state',
  code: `state_${code}`,
  message: `${message}${ways[code] ?? ''}`,
})

const refusal = (error: ProtocolError): Failure => ({
  exit: 'refused',
  code: error.code,
  message: error.message,
  ...waitOf(error),
})

const waitOf = ({ retryAfter }: { retryAfter: number | undefined }): { retryAfter?: number } =>
  retryAfter === undefined ? {} : { retryAfter }

export const exitCodeOf = ({ exit }: Failure): number => exitCodes[exit].code
