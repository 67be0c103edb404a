import * as Type from 'typebox'
import { Capability } from './card.ts'
import { limits } from './limits.ts'

/** The fields that frames and HTTP bodies share. Patterns restrict text to ASCII, so that no surrogate gets in. */

/** The length in characters of `bytes` bytes as base64url without padding. */
const chars = (bytes: number): number => Math.ceil((bytes * 4) / 3)
const binary = (bytes: number, description: string) =>
  Type.String({ pattern: `^[A-Za-z0-9_-]{${chars(bytes)}}$`, description: `${description}: ${bytes} bytes, base64url` })

export const idSource = '^[A-Za-z0-9_-]{1,64}$'
export const Id = Type.String({
  pattern: idSource,
  description: 'chosen by the caller; 1 to 64 of A-Z a-z 0-9 _ -',
})
/** The schema checks the type only: `parseUsername` refuses names with its own error code. */
export const Name = Type.String({ description: 'a username; a recipient may also be `name@domain`' })
export const Identity = binary(32, 'Ed25519 identity key')
export const Nonce = binary(32, 'nonce')
export const Signature = binary(64, 'strict Ed25519 signature')
export const Token = binary(32, 'auth token')
export const inviteSource = '^[A-Za-z0-9_-]{1,128}$'
export const Invite = Type.String({
  pattern: inviteSource,
  description: 'invite, if registration needs one',
})
/** The schema checks the type only: the codec checks length (`message_too_large`) and alphabet. */
export const Body = Type.String({ description: `ciphertext, base64url, at most ${limits.maxBodyChars} characters` })
export const Ttl = Type.Integer({
  minimum: 1,
  maximum: Number.MAX_SAFE_INTEGER,
  description: 'seconds, reduced to the maximum of the deployment',
})
export const Seq = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description: 'number in the inbox' })
export const Epoch = Type.Integer({
  minimum: 0,
  maximum: Number.MAX_SAFE_INTEGER,
  description: 'fencing number of a claim',
})
export const Count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
export const TimeMs = Type.Integer({
  minimum: 0,
  maximum: Number.MAX_SAFE_INTEGER,
  description: 'milliseconds since 1970',
})
export const prefixSource = '^[a-z0-9._-]{0,32}$'
export const Prefix = Type.String({ pattern: prefixSource, description: 'lists only names with this prefix' })
export const Cursor = Type.String({ pattern: '^[a-z0-9._-]{1,32}$', description: 'the `cursor` of the previous page' })
export const PageLimit = Type.Integer({ minimum: 1, maximum: limits.maxPage, default: limits.defaultPage })

const KeyId = Type.Integer({ minimum: 1, maximum: 2 ** 31 - 1, description: 'never reused' })
export const OneTimeKey = Type.Object({ id: KeyId, key: binary(32, 'X25519 one-time prekey') })
export const OneTimeKemKey = Type.Object({
  id: KeyId,
  key: binary(1184, 'ML-KEM-768 one-time key'),
  signature: Signature,
})
/** 4096 bytes are enough for a bundle with the longest address and a hundred suites. */
export const Bundle = Type.String({
  pattern: '^[A-Za-z0-9_-]{1,5462}$',
  description: 'signed bundle, base64url (docs/E2E.md section 4)',
})

export const KeyUpload = {
  bundle: Type.Optional(Bundle),
  oneTimeKeys: Type.Optional(Type.Array(OneTimeKey, { maxItems: limits.maxOneTimeKeys })),
  oneTimeKemKeys: Type.Optional(Type.Array(OneTimeKemKey, { maxItems: limits.maxOneTimeKemKeys })),
  replace: Type.Optional(
    Type.Boolean({ description: 'the one-time keys of this upload replace all that the node holds' }),
  ),
}
/** The highest number that the user signed (docs/E2E.md section 9). */
export const Reservation = Type.Object({ upTo: Count, signature: Signature })
export const KeyCounts = { oneTimeKeys: Count, oneTimeKemKeys: Count }
/** Nodes of earlier versions ignore `replace` and answer without `replaced`. */
export const Published = {
  ...KeyCounts,
  replaced: Type.Optional(Type.Boolean({ description: 'true: the pools were replaced' })),
  sinceReplacedS: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: Number.MAX_SAFE_INTEGER,
      description: 'with `replaced`: seconds since the pools were replaced the time before, if they were',
    }),
  ),
}
export const FetchedKeys = {
  username: Name,
  bundle: Bundle,
  oneTimeKey: Type.Optional(OneTimeKey),
  oneTimeKemKey: Type.Optional(OneTimeKemKey),
}
export const Card = Type.String({
  pattern: `^[A-Za-z0-9_-]{1,${chars(limits.maxCardBytes)}}$`,
  description: `signed card, base64url (docs/E2E.md section 14), at most ${limits.maxCardBytes} bytes`,
})
export const ListedUser = Type.Object({
  username: Name,
  online: Type.Boolean(),
  lastSeenAt: TimeMs,
  card: Type.Optional(Card),
})
export const UserQuery = {
  online: Type.Optional(Type.Boolean()),
  prefix: Type.Optional(Prefix),
  capability: Type.Optional(Capability),
  cards: Type.Optional(Type.Boolean({ description: 'include the cards of the listed users' })),
  limit: Type.Optional(PageLimit),
  cursor: Type.Optional(Cursor),
}
export const UserPage = { users: Type.Array(ListedUser), cursor: Type.Union([Type.String(), Type.Null()]) }
export const Writers = Type.Union([Type.Literal('anyone'), Type.Literal('contacts'), Type.Literal('allowlist')], {
  description: 'senders from which a user accepts messages',
})
export const sessionSource = '^[A-Za-z0-9_-]{16}$'
export const SessionName = Type.String({
  pattern: sessionSource,
  description: 'the public id of a login, which is not a secret',
})
export const SessionList = Type.Array(
  Type.Object({ session: SessionName, createdAt: TimeMs, expiresAt: TimeMs, current: Type.Boolean() }),
)
/** Nodes of earlier versions do not say it, nor do nodes that list no users. */
export const Known = Type.Optional(Type.Boolean({ description: 'whether a user of this name is registered' }))
export const SetRule = Type.Union([Type.Literal('allowed'), Type.Literal('blocked')])
export const Rule = Type.Object({
  username: Name,
  rule: Type.Union([Type.Literal('allowed'), Type.Literal('blocked'), Type.Literal('contact')]),
})
export const RulePage = {
  rules: Type.Array(Rule),
  cursor: Type.Union([Type.String(), Type.Null()]),
}
export const Kind = Type.Union([Type.Literal('message'), Type.Literal('key_exchange')])
export const PushedEnvelope = { seq: Seq, prev: Seq, id: Id, from: Name, body: Body, sentAt: TimeMs }
