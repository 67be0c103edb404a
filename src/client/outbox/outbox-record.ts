import type { Static } from 'typebox'
import * as Type from 'typebox'
import { recordCodec } from '../state/record-codec.ts'

/** Content kinds that a client makes, docs/E2E.md section 6. */
export const ContentKindSchema = Type.Union([
  Type.Literal('application'),
  Type.Literal('empty'),
  Type.Literal('reset'),
  Type.Literal('receipt'),
])

/** One message on its way, from `send` to the recipient's receipt. */
export const OutboxRecord = recordCodec(
  'outbox',
  Type.Object({
    /** `msg_id`, base64url: the message's name for the application and in receipts. */
    id: Type.String(),
    /** Its place among everything this state has sent. */
    order: Type.Integer(),
    /** Content kind, docs/E2E.md section 6. */
    kind: ContentKindSchema,
    /** The frame that carries it: an answer to an offer goes as `key_exchange`. */
    frame: Type.Optional(Type.Literal('key_exchange')),
    /** Plaintext, base64url: a reset needs it. */
    body: Type.String(),
    sentAt: Type.Integer(),
    ttlS: Type.Optional(Type.Integer()),
    /** Local time after which nobody need try any more. */
    expiresAt: Type.Integer(),
    /** Once encrypted: the bytes that are sent until accepted, and the frame's id. Never two different ones from one ratchet state. */
    sealed: Type.Optional(Type.Object({ frameId: Type.String(), body: Type.String() })),
  }),
)
export type OutboxRecord = Static<typeof OutboxRecord.schema>
export type SealedRecord = OutboxRecord & { sealed: { frameId: string; body: string } }

export const isSealed = (record: OutboxRecord): record is SealedRecord => record.sealed !== undefined
