import { ProtocolError } from '../../protocol/errors.ts'
import {
  type ClientFrame,
  type ClientFrameOf,
  type ClientFrameType,
  type ConnectionState,
  clientFrames,
} from '../../protocol/frames.ts'

/** What a connection in `state` answers to a frame of `type` instead of handling it; `null` when it may (PROTOCOL.md section 2). */
export function refusalIn(state: ConnectionState, type: ClientFrameType): ProtocolError | null {
  const needed: ConnectionState = clientFrames[type].state
  if (isLogin(type)) return state === 'challenged' ? null : new ProtocolError('bad_frame', 'type: already logged in')
  if (needed === 'challenged') return null
  if (state === 'challenged') return new ProtocolError('unauthorized', 'not logged in')
  if (needed === 'listening' && state !== 'listening') return new ProtocolError('not_listening', 'not listening')
  return null
}

export type SendFrame = ClientFrameOf<'send'> | ClientFrameOf<'key_exchange'>
export const isSend = (frame: ClientFrame): frame is SendFrame => frame.type === 'send' || frame.type === 'key_exchange'

export type LoginFrame = ClientFrameOf<'register'> | ClientFrameOf<'authenticate'>
export const isLogin = (type: ClientFrameType): boolean => type === 'register' || type === 'authenticate'

/**
 * Frames that do not wait for the answers to those before them. Sends share a batch and keep their order there. An `ack` only moves
 * a number here and is trimmed later than any append already begun; behind a send it would stop every stream that answers what it reads.
 */
export const isPipelined = (type: ClientFrameType): boolean =>
  type === 'send' || type === 'key_exchange' || type === 'ack'

const ofLists: ReadonlySet<ClientFrameType> = new Set([
  'list_users',
  'list_rules',
  'publish_card',
  'set_rule',
  'privacy',
  'sessions',
  'end_sessions',
])

/** What a frame counts against its rate: a listing makes the store read hundreds of users, a decision is told to every node, and each key has a signature to check. */
export function costOf(type: ClientFrameType): number {
  if (type === 'publish_keys') return 200
  return ofLists.has(type) ? 20 : 1
}
