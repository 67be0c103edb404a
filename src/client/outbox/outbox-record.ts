import type { Static } from 'typebox'
import * as Type from 'typebox'
import { limits } from '../../protocol/limits.ts'
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
    /** `sentAt` and the lifetime. For older releases, which know no `offeredAt`. */
    expiresAt: Type.Integer(),
    /** When a node was first asked to store it, ms since 1970 by the local clock: its lifetime counts from then. */
    offeredAt: Type.Optional(Type.Integer()),
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

const lifetimeMs = ({ ttlS = limits.messageTtlS }: OutboxRecord): number => ttlS * 1_000

/**
 * Returns true if the message was not accepted, or has no receipt, within its lifetime. That begins when a node is
 * first asked: until then nobody knows how long the message waits, because the clock may have been wrong when it was
 * sent.
 */
export const isExpired = (record: OutboxRecord, nowMs: number): boolean =>
  record.offeredAt !== undefined && nowMs - record.offeredAt >= lifetimeMs(record)

/** Records that a node was asked. A time in the future counts from now: the clock was set back. */
export const withOffer = (record: OutboxRecord, nowMs: number): OutboxRecord => ({
  ...record,
  offeredAt: Math.min(record.offeredAt ?? nowMs, nowMs),
})

/** Returns when an accepted message is given up, ms since 1970. Older releases stored no `offeredAt`. */
export const receiptDueAt = (record: OutboxRecord): number =>
  record.offeredAt === undefined ? record.expiresAt : record.offeredAt + lifetimeMs(record)
