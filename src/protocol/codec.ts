import { parse } from 'secure-json-parse'
import type { TSchema } from 'typebox'
import { Compile, type Validator } from 'typebox/schema'
import { decodeUtf8 } from '../util/bytes.ts'
import { lazy } from '../util/lazy.ts'
import { ProtocolError } from './errors.ts'
import { idSource } from './fields.ts'
import { type ClientFrame, clientFrames, type ServerFrame, type ServerFrameOf, serverFrames } from './frames.ts'
import { limits } from './limits.ts'

/** A received frame: text from a browser's socket, bytes from Node's. */
export type RawFrame = string | Uint8Array

/** A refused frame. `id` is the frame's id if it is readable, so that the error reaches the matching request. */
export class FrameError extends ProtocolError {
  readonly id: string | undefined

  constructor(cause: ProtocolError, id: string | undefined) {
    super(cause.code, cause.message, cause.close ? { close: cause.close } : {})
    this.id = id
  }
}

const notTheProtocol = (message: string) => new ProtocolError('bad_frame', message, { close: 'notTheProtocol' })

/** Counts the levels of `{` and `[` without parsing: deeply nested JSON parses, but overflows `JSON.stringify`. */
function depthOf(json: string): number {
  let depth = 0
  let deepest = 0
  for (let at = 0; at < json.length; at += 1) {
    const char = json.charCodeAt(at)
    if (char === 0x22) at = endOfString(json, at)
    else if (char === 0x7b || char === 0x5b) deepest = Math.max(deepest, ++depth)
    else if (char === 0x7d || char === 0x5d) depth -= 1
  }
  return deepest
}

/** Returns the index of the closing quote of the string at `start`, or the text's length if there is none. */
function endOfString(json: string, start: number): number {
  let end = start
  do {
    end = json.indexOf('"', end + 1)
    if (end < 0) return json.length
  } while (isEscaped(json, end))
  return end
}

function isEscaped(json: string, at: number): boolean {
  let slashes = 0
  while (json.charCodeAt(at - 1 - slashes) === 0x5c) slashes += 1
  return slashes % 2 === 1
}

/**
 * Parses text to a JSON object, within the bounds and without `__proto__` or `constructor.prototype`.
 * @throws {ProtocolError} `bad_frame`, which closes the connection.
 */
export function parseObject(raw: RawFrame): Record<string, unknown> {
  const text = typeof raw === 'string' ? raw : decodeText(raw)
  if (depthOf(text) > limits.maxDepth) throw notTheProtocol(`a frame has at most ${limits.maxDepth} levels`)
  const value = parseJson(text)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw notTheProtocol('a frame is one JSON object')
  }
  return value as Record<string, unknown>
}

function decodeText(raw: Uint8Array): string {
  try {
    return decodeUtf8(raw)
  } catch {
    throw notTheProtocol('a frame is UTF-8')
  }
}

function parseJson(text: string): unknown {
  try {
    return parse(text)
  } catch {
    throw notTheProtocol('a frame is JSON, without __proto__ or constructor.prototype')
  }
}

/** Compiles the validator of a type at its first frame, so that a command with five types does not pay for fifty. */
const compile = (table: Record<string, TSchema>): Map<string, () => Validator> =>
  new Map(Object.entries(table).map(([type, schema]) => [type, lazy(() => Compile(schema))]))

const clientValidators = compile(
  Object.fromEntries(Object.entries(clientFrames).map(([type, entry]) => [type, entry.schema])),
)
const serverValidators = compile(serverFrames)

/** Returns the first error, with the name of its field. */
function firstError(validator: Validator, value: unknown): string {
  const [, [error]] = validator.Errors(value)
  const field = error?.instancePath.slice(1).replaceAll('/', '.') ?? ''
  return field ? `${field} ${error?.message}` : (error?.message ?? 'does not fit its schema')
}

function check(validators: Map<string, () => Validator>, value: Record<string, unknown>): void {
  const { type } = value
  if (typeof type !== 'string') throw new ProtocolError('bad_frame', 'type must be string')
  const validator = validators.get(type)?.()
  if (!validator) throw new ProtocolError('bad_frame', 'unknown type')
  if (!validator.Check(value)) throw new ProtocolError('bad_frame', firstError(validator, value))
}

const bodyPattern = /^[A-Za-z0-9_-]*$/

/**
 * Checks the `body` of a frame or an HTTP call from a client.
 * @throws {ProtocolError} `message_too_large`, or `bad_frame` if it is empty or not base64url.
 */
export function checkBody(body: string): void {
  if (body.length > limits.maxBodyChars) {
    throw new ProtocolError('message_too_large', `body has at most ${limits.maxBodyChars} characters`)
  }
  if (body.length === 0 || body.length % 4 === 1 || !bodyPattern.test(body)) {
    throw new ProtocolError('bad_frame', 'body must be base64url without padding')
  }
}

const idPattern = new RegExp(idSource)
const readableId = (id: unknown): string | undefined => (typeof id === 'string' && idPattern.test(id) ? id : undefined)

/** Runs a check of a frame. A `ProtocolError` from it becomes a `FrameError` with the frame's id. */
function withId<T>(id: unknown, run: () => T): T {
  try {
    return run()
  } catch (error) {
    if (error instanceof ProtocolError) throw new FrameError(error, readableId(id))
    throw error
  }
}

/**
 * Decodes a frame from a client and checks its depth, JSON, schema and body.
 * @throws {FrameError} with the code to answer; `close` is set if the connection must be closed.
 */
export function decodeClientFrame(raw: RawFrame): ClientFrame {
  const value = parseObject(raw)
  return withId(value.id, () => {
    check(clientValidators, value)
    const frame = value as ClientFrame
    if (frame.type === 'send' || frame.type === 'key_exchange') checkBody(frame.body)
    if (frame.type === 'authenticate' && !isLogin(frame)) {
      throw new ProtocolError('bad_frame', 'authenticate takes username and signature, or token')
    }
    return frame
  })
}

const isLogin = (frame: { username?: string; signature?: string; token?: string }): boolean =>
  (frame.token !== undefined) !== (frame.username !== undefined && frame.signature !== undefined)

/**
 * Decodes a frame from a node with the same checks: a client does not trust a node.
 * @throws {FrameError}
 */
export function decodeServerFrame(raw: RawFrame): ServerFrame {
  const value = parseObject(raw)
  return withId(value.id, () => {
    check(serverValidators, value)
    return value as ServerFrame
  })
}

export const encodeFrame = (frame: ClientFrame | ServerFrame): string => JSON.stringify(frame)

/** Encodes a push without scanning its body: all its strings are ASCII that JSON does not escape. */
export function encodePush(frame: ServerFrameOf<'message'> | ServerFrameOf<'key_exchange'>): string {
  const { type, seq, prev, id, from, body, sentAt } = frame
  const fields = `"type":"${type}","seq":${seq},"prev":${prev},"id":"${id}","from":"${from}","sentAt":${sentAt}`
  return `{${fields},"body":"${body}"}`
}
