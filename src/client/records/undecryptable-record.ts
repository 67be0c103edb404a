import type { Static } from 'typebox'
import * as Type from 'typebox'
import { recordCodec } from '../state/record-codec.ts'

/** A body that could not be decrypted, as it was received. */
export const UndecryptableRecord = recordCodec(
  'aside',
  Type.Object({
    frameType: Type.Union([Type.Literal('message'), Type.Literal('key_exchange')]),
    /** base64url */
    body: Type.String(),
    /** The reason, a code of `CryptoError`. */
    code: Type.String(),
    /** When it was quarantined, ms since 1970 by the local clock. */
    at: Type.Integer(),
    /** The position among all bodies that this state has received. */
    order: Type.Optional(Type.Integer()),
    /** The sender's identity key that it came under, base64url: for a first message, the key that it names. */
    identity: Type.Optional(Type.String()),
  }),
)
export type UndecryptableRecord = Static<typeof UndecryptableRecord.schema>
