import Type, { type Static } from 'typebox'
import { isErrorCode, ProtocolError } from '../protocol/errors.ts'
import { ClientError } from './errors.ts'
import { recordCodec } from './records.ts'

/** What became of a message, for the process that queued it when another one sent it. */
export const OutcomeRecord = recordCodec(
  'outcome',
  Type.Union([
    Type.Object({ seq: Type.Integer(), queued: Type.Boolean() }),
    Type.Object({ code: Type.String(), message: Type.String() }),
  ]),
)
export type Outcome = Static<typeof OutcomeRecord.schema>

/** A refusal that another process of this agent met. */
export class RefusedError extends ClientError {
  override readonly name = 'RefusedError'
  readonly code: string
  readonly retry = false

  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}

export const toOutcome = (error: Error): Outcome => ({
  code: 'code' in error ? String(error.code) : 'internal',
  message: error.message,
})

export const toError = ({ code, message }: { code: string; message: string }): Error =>
  isErrorCode(code) ? new ProtocolError(code, message) : new RefusedError(code, message)
