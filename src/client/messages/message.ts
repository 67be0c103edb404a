import type { Static } from 'typebox'
import * as Type from 'typebox'
import { idSource } from '../../protocol/fields.ts'
import { isUsername, parseUsername, type Username } from '../../protocol/names.ts'
import { decodeBase64Url, isBase64Url } from '../../util/bytes.ts'
import { recordCodec } from '../state/record-codec.ts'
import { decodeMedia, type Header, jsonOf, textOf } from './content.ts'

const idPattern = new RegExp(idSource)

/**
 * A decrypted message that the application has not acknowledged.
 * @internal
 */
export const InboxRecord = recordCodec(
  'inbox',
  Type.Object({
    id: Type.String(),
    from: Type.String(),
    /** Plaintext, base64url. */
    body: Type.String(),
    sentAt: Type.Integer(),
    /** Ms since 1970, local clock. */
    receivedAt: Type.Optional(Type.Integer()),
    /** The content kind, docs/E2E.md section 6, if it is not `application`. */
    contentKind: Type.Optional(Type.String()),
    /** The sender's identity key that it was decrypted under, base64url. Older releases did not store it. */
    identity: Type.Optional(Type.String()),
  }),
  ({ id, from, body }) => idPattern.test(id) && isUsername(from) && isBase64Url(body),
)
/** @internal */
export type InboxRecord = Static<typeof InboxRecord.schema>

/**
 * The kind of a message: a plain message (`application`), a `request` that waits for a reply, a late `reply`, or a kind
 * of a later version under its own name.
 */
export type MessageKind = 'application' | 'request' | 'reply' | `unknown:${string}`

/**
 * A message as the application sees it: docs/E2E.md section 13. Every field except `from`, `identity`, `verified`,
 * `deadline` and `repeated` is chosen by the sender.
 */
export type MessageView = {
  /** `msg_id`, base64url. */
  id: string
  from: Username
  /** The sender's identity key that the message came under, base64url; undefined if an older release stored it. */
  identity: string | undefined
  /** The trust in that key: `verified` if the user has compared it, `first-use` if it was not compared. */
  verified: 'verified' | 'first-use'
  kind: MessageKind
  body: Uint8Array
  /** `body` as text, if it is UTF-8. */
  text: string | undefined
  /** The media type of `body`; undefined for plain text and plain bytes. */
  mediaType: string | undefined
  /** The parsed value, if `mediaType` is JSON and `body` is valid JSON. */
  json: unknown
  /** The id of the message that this one answers. */
  re: string | undefined
  /** The number of messages, each an answer to the one before, that led to this one. */
  hops: number
  /** When the sender of a request stops waiting, ms since 1970 by the local clock. */
  deadline: number | undefined
  /** The code and text of a refusal. */
  error: { code: string; message: string } | undefined
  /** The sender's clock, ms since 1970. */
  sentAt: number
  /** The message may have been shown before, by a process that ended before it acknowledged. */
  repeated?: true
}

/** A message as `receive` yields it. */
export type ReceivedMessage = MessageView & {
  /** Acknowledges the message: it is not shown again. Asking the iterator for the next message does the same. */
  ack(): Promise<void>
}

const knownKinds: Record<string, MessageKind> = { request: 'request', reply: 'reply' }

/** @internal */
export function toMessage(record: InboxRecord, verified: MessageView['verified']): MessageView {
  const bytes = decodeBase64Url(record.body)
  const { header, kind, data } = read(record, bytes)
  const text = textOf(data)
  return {
    id: record.id,
    from: parseUsername(record.from),
    identity: record.identity,
    verified,
    kind,
    body: data,
    text,
    mediaType: header.type,
    json: jsonOf(header.type, text),
    re: header.re,
    hops: header.hops ?? 0,
    deadline: header.timeoutMs && (record.receivedAt ?? record.sentAt) + header.timeoutMs,
    error: header.error,
    sentAt: record.sentAt,
  }
}

function read(
  { contentKind }: InboxRecord,
  bytes: Uint8Array,
): { header: Header; kind: MessageKind; data: Uint8Array } {
  if (contentKind !== undefined) return { header: {}, kind: `unknown:${contentKind}`, data: bytes }
  const media = decodeMedia(bytes)
  if (!media.header) return { header: {}, kind: `unknown:version-${media.version}`, data: media.data }
  const { header, data } = media
  if (header.kind === undefined) return { header, kind: 'application', data }
  return { header, kind: knownKinds[header.kind] ?? `unknown:${header.kind}`, data }
}
