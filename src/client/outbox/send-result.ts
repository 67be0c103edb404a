import type { Static } from 'typebox'
import * as Type from 'typebox'
import { isErrorCode, ProtocolError } from '../../protocol/errors.ts'
import { ClientError } from '../base/errors.ts'
import { recordCodec } from '../state/record-codec.ts'

/**
 * The node's answer when it has stored a message: the message's number in the recipient's inbox, and `queued` if the
 * recipient was not listening.
 */
export type Accepted = { id: string; seq: number; queued: boolean }

const SendResult = Type.Union([
  Type.Object({ seq: Type.Integer(), queued: Type.Boolean() }),
  Type.Object({ code: Type.String(), message: Type.String() }),
])
export type SendResult = Static<typeof SendResult>

/** The result of a send, for the process that enqueued the message if another process sent it. `at`: ms since 1970. */
export const SendResultRecord = recordCodec('outcome', Type.Object({ at: Type.Integer(), outcome: SendResult }))

/** A refusal that was stored in the state, with a code that is not one of the protocol's. */
class RefusedError extends ClientError {
  override readonly name = 'RefusedError'
  readonly code: string
  readonly retry = false

  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}

export const toRefusal = (error: Error): { code: string; message: string } => ({
  code: 'code' in error ? String(error.code) : 'internal',
  message: error.message,
})

export const toError = ({ code, message }: { code: string; message: string }): Error =>
  isErrorCode(code) ? new ProtocolError(code, message) : new RefusedError(code, message)
