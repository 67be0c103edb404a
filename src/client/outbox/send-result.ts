import type { Static } from 'typebox'
import * as Type from 'typebox'
import { isErrorCode, ProtocolError } from '../../protocol/errors.ts'
import { ClientError } from '../base/errors.ts'
import { recordCodec } from '../state/record-codec.ts'

/** What became of a message, for the process that queued it when another one sent it. */
const Outcome = Type.Union([
  Type.Object({ seq: Type.Integer(), queued: Type.Boolean() }),
  Type.Object({ code: Type.String(), message: Type.String() }),
])
export type Outcome = Static<typeof Outcome>
export const OutcomeRecord = recordCodec('outcome', Type.Object({ at: Type.Integer(), outcome: Outcome }))

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

export const toOutcome = (error: Error): { code: string; message: string } => ({
  code: 'code' in error ? String(error.code) : 'internal',
  message: error.message,
})

export const toError = ({ code, message }: { code: string; message: string }): Error =>
  isErrorCode(code) ? new ProtocolError(code, message) : new RefusedError(code, message)
