import { ProtocolError } from '../../protocol/errors.ts'
import {
  type ClientFrame,
  type ClientFrameOf,
  type ClientFrameType,
  type ConnectionState,
  clientFrames,
} from '../../protocol/frames.ts'

/** Returns the error for a frame of `type` in `state`; `null` if the state allows it (PROTOCOL.md section 2). */
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
 * Returns true for frames that do not wait for the answers to earlier pipelined frames. Sends share a batch, which
 * keeps their order. An `ack` only moves a number here; the store trims the inbox later than any append already in
 * progress. If an ack waited for a send, a client that replies to each message it reads would lose its pipelining.
 */
export const isPipelined = (type: ClientFrameType): boolean =>
  type === 'send' || type === 'key_exchange' || type === 'ack'

const costly: ReadonlySet<ClientFrameType> = new Set([
  'list_users',
  'list_rules',
  'publish_card',
  'set_rule',
  'privacy',
  'sessions',
  'end_sessions',
])

/**
 * Returns the tokens that a frame takes from its rate. A listing makes the store read hundreds of users, a changed rule
 * or login is broadcast to all nodes, and each published key has a signature to check.
 */
export function costOf(type: ClientFrameType): number {
  if (type === 'publish_keys') return 200
  return costly.has(type) ? 20 : 1
}
