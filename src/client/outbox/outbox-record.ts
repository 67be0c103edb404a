import type { Static } from 'typebox'
import * as Type from 'typebox'
import { isBase64Url } from '../../util/bytes.ts'
import { recordCodec } from '../state/record-codec.ts'

/** The content kinds that a client sends, docs/E2E.md section 6. */
const ContentKindSchema = Type.Union([
  Type.Literal('application'),
  Type.Literal('empty'),
  Type.Literal('reset'),
  Type.Literal('receipt'),
])

/** 16 bytes, base64url. */
const idPattern = /^[A-Za-z0-9_-]{21}[AQgw]$/

/** A message between `send` and the recipient's receipt. */
export const OutboxRecord = recordCodec(
  'outbox',
  Type.Object({
    /** `msg_id`, base64url: identifies the message for the application and in receipts. */
    id: Type.String(),
    /** The position among all messages that this state has sent. */
    order: Type.Integer(),
    /** Content kind, docs/E2E.md section 6. */
    kind: ContentKindSchema,
    /** The type of frame if it is not `send`: the answer to an offer is a `key_exchange`. */
    frame: Type.Optional(Type.Literal('key_exchange')),
    /** Plaintext, base64url; kept because a reset encrypts it again. */
    body: Type.String(),
    sentAt: Type.Integer(),
    ttlS: Type.Optional(Type.Integer()),
    /** When the message is given up, ms since 1970 by the local clock. */
    expiresAt: Type.Integer(),
    /** When a reset of the peer last caused it to be sent again, ms since 1970 by the local clock. */
    sentAgainAt: Type.Optional(Type.Integer()),
    /**
     * The frame id and the ciphertext, once encrypted. The same bytes are sent until a node accepts them: one ratchet
     * state never encrypts two different plaintexts.
     */
    sealed: Type.Optional(Type.Object({ frameId: Type.String(), body: Type.String() })),
  }),
  ({ id, body, order, sealed }) =>
    idPattern.test(id) && isBase64Url(body) && order >= 0 && (sealed === undefined || isBase64Url(sealed.body)),
)
export type OutboxRecord = Static<typeof OutboxRecord.schema>
export type SealedRecord = OutboxRecord & { sealed: { frameId: string; body: string } }

export const isSealed = (record: OutboxRecord): record is SealedRecord => record.sealed !== undefined
