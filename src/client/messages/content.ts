import type { Static } from 'typebox'
import * as Type from 'typebox'
import { Compile } from 'typebox/schema'
import { readAll } from '../../crypto/encoding/byte-reader.ts'
import { u8, vec16 } from '../../crypto/encoding/byte-writer.ts'
import { cryptoLimits } from '../../crypto/limits.ts'
import { idSource } from '../../protocol/fields.ts'
import { asError } from '../../util/as-error.ts'
import { concatBytes, decodeUtf8, encodeUtf8 } from '../../util/bytes.ts'
import { lazy } from '../../util/lazy.ts'
import { isWellFormed, isWellFormedJson } from '../../util/well-formed.ts'
import { IllFormedTextError, InvalidArgumentError, MediaTypeError, TooLargeError } from '../base/errors.ts'

/** What an application sends: text, bytes, JSON, or text or bytes with a media type. */
export type Content = string | Uint8Array | { json: unknown } | { mediaType: string; data: string | Uint8Array }

/**
 * The first bytes of an application body with a header (docs/E2E.md section 6). No UTF-8 text begins with the first
 * byte, and no file format in use with all four.
 */
const magic = Uint8Array.of(0xff, 0x41, 0x49, 0x4d)
const version = 1

/** A media type of RFC 6838 section 4.2, with parameters. */
const mediaTypeSource =
  '^[a-z0-9][a-z0-9!#$&^_.+-]{0,63}/[a-z0-9][a-z0-9!#$&^_.+-]{0,63}(?: ?; ?[a-z0-9-]{1,32}=[A-Za-z0-9!#$&^_.+-]{1,64}){0,4}$'
const mediaTypePattern = new RegExp(mediaTypeSource)

/** @internal */
const Header = Type.Object({
  /** `request`, `part`, `reply`, `cancel`, or a kind of a later version; a plain message has none. */
  kind: Type.Optional(Type.String({ pattern: '^[a-z][a-z-]{0,31}$' })),
  type: Type.Optional(Type.String({ pattern: mediaTypeSource })),
  /** The `msg_id` of the message that this one answers. */
  re: Type.Optional(Type.String({ pattern: idSource })),
  /** The number of messages, each an answer to the one before, that led to this one. */
  hops: Type.Optional(Type.Integer({ minimum: 0, maximum: 65_535 })),
  /** How long a request waits for its reply, ms. Each side counts from when it first had the request. */
  timeoutMs: Type.Optional(Type.Integer({ minimum: 1, maximum: 604_800_000 })),
  /** Set if the reply is a refusal. */
  error: Type.Optional(Type.Object({ code: Type.String({ pattern: '^[a-z0-9_]{1,64}$' }), message: Type.String() })),
})
/** @internal */
export type Header = Static<typeof Header>
const headerValidator = lazy(() => Compile(Header))

/** A decoded application body. For an unknown version `header` is undefined and `data` is the whole body. */
type Media = { header: Header; data: Uint8Array } | { header: undefined; version: number; data: Uint8Array }

/** Plain text or bytes have no header, and are sent as they are. */
const isPlain = (header: Header): boolean => Object.keys(header).length === 0

const startsWithMagic = (bytes: Uint8Array): boolean => magic.every((byte, index) => bytes[index] === byte)

/**
 * Encodes the body of a content of kind 0 (application).
 * @throws {TooLargeError} over 64 KiB with the header
 * @throws {MediaTypeError} {IllFormedTextError}
 * @internal
 */
export function encodeMedia(content: Content, header: Header = {}): Uint8Array {
  const { type, data } = toData(content)
  checkHeader(header)
  const full = { ...header, ...(type !== undefined && { type }) }
  const body = isPlain(full) && !startsWithMagic(data) ? data : wrap(full, data)
  if (body.length > cryptoLimits.maxContentBytes) throw new TooLargeError(body.length, cryptoLimits.maxContentBytes)
  return body
}

const wrap = (header: Header, data: Uint8Array): Uint8Array =>
  concatBytes(magic, u8(version), vec16(encodeUtf8(JSON.stringify(header))), data)

function toData(content: Content): { type?: string; data: Uint8Array } {
  if (typeof content === 'string') return { data: encodeText(content) }
  if (content instanceof Uint8Array) return { data: content }
  if ('json' in content) return { type: 'application/json', data: encodeUtf8(encodeJson(content.json)) }
  const { mediaType, data } = content
  if (!mediaTypePattern.test(mediaType)) throw new MediaTypeError(mediaType)
  if (typeof data !== 'string') return { type: mediaType, data }
  const value = jsonOf(mediaType, data)
  if (value !== undefined && !isWellFormedJson(JSON.stringify(value))) throw new IllFormedTextError('the JSON value')
  return { type: mediaType, data: encodeText(data) }
}

/** @throws {IllFormedTextError} */
function encodeText(text: string): Uint8Array {
  if (!isWellFormed(text)) throw new IllFormedTextError('the text')
  return encodeUtf8(text)
}

function checkHeader({ error }: Header): void {
  if (error && !isWellFormed(error.message)) throw new IllFormedTextError('the text of the refusal')
}

function encodeJson(value: unknown): string {
  const text = stringify(value)
  if (text === undefined)
    throw new InvalidArgumentError('json', 'must be a value that JSON can represent, not undefined or a function')
  if (!isWellFormedJson(text)) throw new IllFormedTextError('the JSON value')
  return text
}

/** @throws {InvalidArgumentError} for a circle, a BigInt, and what a `toJSON` throws */
function stringify(value: unknown): string | undefined {
  try {
    return JSON.stringify(value)
  } catch (error) {
    const why = asError(error).message.split('\n')[0]
    throw new InvalidArgumentError('json', `must be a value that JSON can represent (${why})`, { cause: error })
  }
}

/**
 * Never throws: a body with an invalid header counts as plain bytes.
 * @internal
 */
export function decodeMedia(body: Uint8Array): Media {
  if (!startsWithMagic(body)) return { header: {}, data: body }
  const found = body[magic.length]
  if (found !== undefined && found !== version) return { header: undefined, version: found, data: body }
  try {
    return unwrap(body.subarray(magic.length + 1))
  } catch {
    return { header: {}, data: body }
  }
}

function unwrap(bytes: Uint8Array): Media {
  return readAll(bytes, reader => {
    const header: unknown = JSON.parse(decodeUtf8(reader.vec16()))
    if (!headerValidator().Check(header)) throw new TypeError('invalid header')
    return { header, data: reader.rest() }
  })
}

const isJsonType = (type: string): boolean => /^application\/(?:[^;]+\+)?json(?: ?;|$)/.test(type)

/**
 * Returns the value of a JSON body; undefined for any other body.
 * @internal
 */
export function jsonOf(mediaType: string | undefined, text: string | undefined): unknown {
  if (mediaType === undefined || text === undefined || !isJsonType(mediaType)) return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** @internal */
export function textOf(data: Uint8Array): string | undefined {
  try {
    return decodeUtf8(data)
  } catch {
    return undefined
  }
}
