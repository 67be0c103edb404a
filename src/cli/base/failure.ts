import { ClientError, RequestRefusedError, UnreachableError } from '../../client/base/errors.ts'
import { saidWith } from '../../client/base/server-words.ts'
import { StateError, type StateErrorCode } from '../../client/state/state-error.ts'
import { CryptoError } from '../../crypto/errors.ts'
import { ProtocolError } from '../../protocol/errors.ts'
import { escapeLine } from '../../util/escape.ts'
import { type Exit, exitCodes } from './exit-codes.ts'

/** A failure of a command: its exit code, its error code and text, and the words of the server as data. */
export type Failure = { exit: Exit; code: string; message: string; retryAfter?: number; serverSaid?: string }

/** An error that the command line itself detected. `exit` is the kind of failure. */
export class CliError extends Error {
  override readonly name = 'CliError'
  readonly exit: Exit
  readonly code: string
  readonly serverSaid: string | undefined

  constructor(exit: Exit, code: string, message: string, { serverSaid }: { serverSaid?: string | undefined } = {}) {
    super(message)
    this.serverSaid = serverSaid
    this.exit = exit
    this.code = code
  }
}

export const usageError = (message: string): CliError => new CliError('usage', 'usage', message)

export const notWaiting = (id: string): CliError =>
  new CliError('refused', 'not_open', `${escapeLine(id)} is not an unread message: "aimessage inbox" lists their ids`)

/** Codes of `ClientError` that are not refusals. */
const exitOf: Record<string, Exit> = {
  unreachable: 'unreachable',
  server_fault: 'unreachable',
  server_url: 'usage',
  not_registered: 'state',
  already_registered: 'state',
  unknown_peer: 'state',
  peer_unreadable: 'state',
  recovery_needed: 'state',
  closed: 'fault',
  invalid_argument: 'usage',
}

/** Maps every error to the failure that the command reports. */
export function toFailure(error: unknown): Failure {
  const serverSaid = saidWith(error)
  return { ...failureOf(error), ...(serverSaid !== undefined && { serverSaid }) }
}

function failureOf(error: unknown): Failure {
  if (error instanceof CliError) return { exit: error.exit, code: error.code, message: error.message }
  if (error instanceof ProtocolError) return refusal(error)
  if (error instanceof StateError) return stateFailure(error)
  if (error instanceof CryptoError) return { exit: 'refused', code: error.code, message: error.message }
  if (error instanceof RequestRefusedError && error.peer !== undefined) {
    const message = `${error.peer} refused the request, in its own words: ${JSON.stringify(escapeLine(error.message))}`
    return { exit: 'refused', code: error.code, message }
  }
  if (error instanceof ClientError) {
    const { code, message } = error
    return { exit: exitOf[code] ?? 'refused', code, message, ...(error instanceof UnreachableError && waitOf(error)) }
  }
  return { exit: 'fault', code: 'fault', message: error instanceof Error ? error.message : String(error) }
}

/** Hints about the command line, added to the texts of the library. */
const ways: Partial<Record<StateErrorCode, string>> = {
  secret_missing: ' Set AIMESSAGE_PASSPHRASE, or give a key file with --key-file.',
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
