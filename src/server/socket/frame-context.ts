import type { CloseReason, ProtocolError } from '../../protocol/errors.ts'
import type { ConnectionState, ServerFrame } from '../../protocol/frames.ts'
import type { Username } from '../../protocol/names.ts'
import type { InboxDelivery } from '../delivery/inbox-delivery.ts'
import type { SendStream } from '../delivery/send-batch.ts'
import type { NodeContext } from '../node/node-context.ts'
import type { Login } from '../operations/login.ts'
import type { LoginFrame } from '../rate-limits/frame-rules.ts'

/** The connection as its frame scheduler and the frame handlers see it. */
export type FrameContext = {
  readonly id: string
  readonly node: NodeContext
  readonly state: ConnectionState
  readonly isClosed: boolean
  /** The user that is logged in. */
  readonly username: Username | undefined
  /** @throws {ProtocolError} `unauthorized` before the login. */
  readonly login: Login
  /** @throws {ProtocolError} `not_listening` */
  readonly delivery: Pick<InboxDelivery, 'ack'>
  readonly sendStream: SendStream
  reply(frame: ServerFrame): void
  /** Replies with an error frame. Closes the connection if the error says so. */
  refuse(error: ProtocolError, id: string | undefined): void
  /** Replies to a login frame. Never rejects: a failed login gets an error frame and a new challenge. */
  logIn(frame: LoginFrame): Promise<void>
  /** Claims the user's inbox and starts to push it. A repeated call returns the existing claim. */
  listen(id: string, instance: string): Promise<void>
  /** Resolves when the claim is released. Nothing is pushed after that. */
  stopListening(): Promise<void>
  /** Revokes the token of this connection and stops listening. After an error, nothing has changed. */
  logOut(): Promise<void>
  /** Resolves when the claim is released. */
  close(reason: CloseReason, text?: string): Promise<void>
}
