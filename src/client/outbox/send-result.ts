import type { Static } from 'typebox'
import * as Type from 'typebox'
import { isErrorCode, ProtocolError } from '../../protocol/errors.ts'
import { ClientError } from '../base/errors.ts'
import { refusalOf, saidWith } from '../base/server-words.ts'
import { recordCodec } from '../state/record-codec.ts'

/**
 * The node's answer when it has stored a message: the message's number in the recipient's inbox, and `queued` if the
 * recipient was not listening.
 */
export type Accepted = { id: string; seq: number; queued: boolean }

/**
 * Why a message was refused. `serverSaid` has the node's words, or is empty. Older releases did not store it: there,
 * `message` has the node's words if `code` is one of the protocol's.
 * @internal
 */
export const Refusal = Type.Object({
  code: Type.String(),
  message: Type.String(),
  serverSaid: Type.Optional(Type.String()),
})
type Refusal = Static<typeof Refusal>

/** @internal */
const SendResult = Type.Union([Type.Object({ seq: Type.Integer(), queued: Type.Boolean() }), Refusal])
/** @internal */
export type SendResult = Static<typeof SendResult>

/**
 * The result of a send, for the process that enqueued the message if another process sent it. `at`: ms since 1970.
 * @internal
 */
export const SendResultRecord = recordCodec('outcome', Type.Object({ at: Type.Integer(), outcome: SendResult }))

/** A refusal that was stored in the state, with a code that is not one of the protocol's. */
class RefusedError extends ClientError {
  override readonly name = 'RefusedError'
  readonly code: string
  readonly retry = false
  readonly serverSaid: string | undefined

  constructor({ code, message, serverSaid }: Refusal) {
    super(message)
    this.code = code
    this.serverSaid = serverSaid || undefined
  }
}

/** @internal */
export const toRefusal = (error: Error): Refusal => ({
  code: 'code' in error ? String(error.code) : 'internal',
  message: error.message,
  serverSaid: saidWith(error) ?? '',
})

/** @internal */
export function toError(refusal: Refusal): Error {
  if (!isErrorCode(refusal.code)) return new RefusedError(refusal)
  const { code, message, serverSaid } = refusal
  if (serverSaid === undefined) return refusalOf(code, message)
  return new ProtocolError(code, message, serverSaid === '' ? {} : { serverSaid })
}
