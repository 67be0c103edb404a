import type { Static } from 'typebox'
import * as Type from 'typebox'
import { parseUsername, type Username } from '../../protocol/names.ts'
import { decodeBase64Url } from '../../util/bytes.ts'
import { recordCodec } from '../state/record-codec.ts'
import { decodeMedia, type Header, jsonOf, textOf } from './content.ts'

/** A message that was decrypted and not acknowledged by the application yet. */
export const InboxRecord = recordCodec(
  'inbox',
  Type.Object({
    id: Type.String(),
    from: Type.String(),
    /** Plaintext, base64url. */
    body: Type.String(),
    sentAt: Type.Integer(),
    /** By our own clock. */
    receivedAt: Type.Optional(Type.Integer()),
    /** Content kind, docs/E2E.md section 6, where it is not `application`. */
    contentKind: Type.Optional(Type.String()),
  }),
)
export type InboxRecord = Static<typeof InboxRecord.schema>

/**
 * What a message is: plain (`application`), a `request` that waits for an answer, a `reply` to one that is not waited for any more, or
 * something of a later version, named as it names itself.
 */
export type MessageKind = 'application' | 'request' | 'reply' | `unknown:${string}`

/** What is known of a message: docs/E2E.md section 13. All but `from`, `verified` and `repeated` is what its sender says. */
export type MessageView = {
  /** `msg_id`, base64url. */
  id: string
  from: Username
  /** Whether the sender's safety number was compared, or its key is the one met first. */
  verified: 'verified' | 'first-use'
  kind: MessageKind
  body: Uint8Array
  /** `body` where it is UTF-8. */
  text: string | undefined
  /** What `body` is; undefined for plain text and plain bytes. */
  mediaType: string | undefined
  /** The value, where `mediaType` is JSON and `body` is, too. */
  json: unknown
  /** The message that this one answers. */
  re: string | undefined
  /** How many messages, each the answer to the one before, led to this one. */
  hops: number
  /** When a request's sender stops waiting, by our own clock, ms since 1970. */
  deadline: number | undefined
  /** Why a reply is a refusal. */
  error: Header['error'] | undefined
  /** The sender's clock, ms since 1970. */
  sentAt: number
  /** It may have been shown before, by a process that ended before it acknowledged. */
  repeated?: true
}

/** A message as `receive` yields it. */
export type ReceivedMessage = MessageView & {
  /** It is never shown again. Asking the iterator for the next message does the same. */
  ack(): Promise<void>
}

const knownKinds: Record<string, MessageKind> = { request: 'request', reply: 'reply' }

export function toMessage(record: InboxRecord, verified: MessageView['verified']): MessageView {
  const bytes = decodeBase64Url(record.body)
  const { header, kind, data } = read(record, bytes)
  const text = textOf(data)
  return {
    id: record.id,
    from: parseUsername(record.from),
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
