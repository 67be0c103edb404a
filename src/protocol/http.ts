import type { TSchema } from 'typebox'
import * as Type from 'typebox'
import type { ErrorCode } from './errors.ts'
import {
  Body,
  Bundle,
  Card,
  Count,
  Cursor,
  Epoch,
  FetchedKeys,
  Id,
  Identity,
  Invite,
  KeyUpload,
  Kind,
  Known,
  ListedUser,
  Name,
  Nonce,
  OneTimeKemKey,
  OneTimeKey,
  PageLimit,
  Published,
  PushedEnvelope,
  Rule,
  RulePage,
  Seq,
  SessionList,
  SessionName,
  SetRule,
  Signature,
  TimeMs,
  Token,
  Ttl,
  UserPage,
  UserQuery,
  Writers,
} from './fields.ts'
import { limits } from './limits.ts'

/** One HTTP operation: docs/PROTOCOL.md section 10. `auth: true` needs `Authorization: Bearer TOKEN`. */
export type HttpRoute = {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  path: string
  auth: boolean
  /** The group in the documentation. */
  tag: 'Login' | 'Users' | 'Access' | 'Cards' | 'Keys' | 'Messages' | 'Administration'
  summary: string
  /** The refusals that are special to this route: docs/PROTOCOL.md section 9. */
  refusals: readonly ErrorCode[]
  schema: { params?: TSchema; querystring?: TSchema; body?: TSchema; response: Record<number, TSchema> }
}

const Nothing = Type.Null({ description: 'done' })
const ByName = Type.Object({ username: Name })
const Challenge = Type.Object({ nonce: Nonce, domain: Type.String(), expiresAt: TimeMs })
const Login = Type.Object({ username: Name, token: Token, expiresAt: TimeMs })
const User = Type.Object({
  username: Name,
  identity: Identity,
  online: Type.Boolean(),
  lastSeenAt: TimeMs,
  registeredAt: TimeMs,
})
const Users = Type.Object(UserPage)
const Access = Type.Object({ writers: Writers })
const Rules = Type.Object(RulePage)
const SignedCard = Type.Object({ username: Name, card: Card })
const Keys = Type.Object(FetchedKeys)
const Upload = Type.Object(KeyUpload)
const Counts = Type.Object(Published)
const Message = Type.Object({
  id: Id,
  to: Name,
  body: Body,
  kind: Type.Optional(Kind),
  ttl: Type.Optional(Ttl),
})
const Accepted = Type.Object({ id: Id, seq: Seq, queued: Type.Boolean() })
const Envelope = Type.Object({ ...PushedEnvelope, kind: Kind })
const Inbox = Type.Object({ messages: Type.Array(Envelope), cursor: Seq, queued: Count, epoch: Epoch })

/** RFC 9457, with the protocol's `code`. */
export const Problem = Type.Object({
  type: Type.String(),
  title: Type.String(),
  status: Type.Integer(),
  code: Type.String(),
  detail: Type.String(),
  retryAfter: Type.Optional(Type.Number({ minimum: 0, description: 'seconds' })),
})

/** The names of schemas in the OpenAPI document, and so of types in generated clients. No two are equal. */
export const httpSchemas = {
  Accepted,
  Access,
  Bundle,
  Card,
  Challenge,
  Envelope,
  Identity,
  Inbox,
  KeyCounts: Counts,
  KeyUpload: Upload,
  Keys,
  ListedUser,
  Login,
  Logins: SessionList,
  Message,
  OneTimeKemKey,
  OneTimeKey,
  Problem,
  Rule,
  Rules,
  Signature,
  SignedCard,
  Token,
  User,
  Users,
  Writers,
} as const satisfies Record<string, TSchema>

export const httpRoutes = {
  challenge: {
    method: 'POST',
    path: '/v1/auth/challenge',
    auth: false,
    tag: 'Login',
    summary: 'Request a nonce to sign, valid once, for this name, for 60 s',
    refusals: ['invalid_username'],
    schema: {
      body: Type.Object({ username: Name }),
      response: { 200: Challenge },
    },
  },
  register: {
    method: 'POST',
    path: '/v1/users',
    auth: false,
    tag: 'Login',
    summary: 'Claim a name for a key; with the same key again it is a login',
    refusals: ['invalid_username', 'unauthorized', 'forbidden', 'unknown_user', 'username_taken'],
    schema: {
      body: Type.Object({
        username: Name,
        identity: Identity,
        nonce: Nonce,
        signature: Signature,
        invite: Type.Optional(Invite),
        again: Type.Optional(Type.Boolean()),
      }),
      response: { 200: Login, 201: Login },
    },
  },
  login: {
    method: 'POST',
    path: '/v1/auth/token',
    auth: false,
    tag: 'Login',
    summary: 'Log in: exchange a signed nonce for a token',
    refusals: ['invalid_username', 'unauthorized', 'forbidden'],
    schema: { body: Type.Object({ username: Name, nonce: Nonce, signature: Signature }), response: { 200: Login } },
  },
  logout: {
    method: 'DELETE',
    path: '/v1/auth/token',
    auth: true,
    tag: 'Login',
    summary: 'End this token on every node',
    refusals: [],
    schema: { response: { 204: Nothing } },
  },
  listUsers: {
    method: 'GET',
    path: '/v1/users',
    auth: true,
    tag: 'Users',
    summary: 'List users by page, sorted by name',
    refusals: ['forbidden'],
    schema: {
      querystring: Type.Object(UserQuery),
      response: { 200: Users },
    },
  },
  getUser: {
    method: 'GET',
    path: '/v1/users/:username',
    auth: true,
    tag: 'Users',
    summary: 'Show one user with its identity key',
    refusals: ['invalid_username', 'unknown_user'],
    schema: {
      params: ByName,
      response: { 200: User },
    },
  },
  deleteUser: {
    method: 'DELETE',
    path: '/v1/users/:username',
    auth: true,
    tag: 'Users',
    summary: "Delete the caller's mail and keys; the name stays reserved for its key",
    refusals: ['forbidden', 'unauthorized'],
    schema: {
      params: ByName,
      body: Type.Object({ nonce: Nonce, signature: Signature }),
      response: { 204: Nothing },
    },
  },
  listSessions: {
    method: 'GET',
    path: '/v1/sessions',
    auth: true,
    tag: 'Login',
    summary: "List the caller's logins, oldest first",
    refusals: [],
    schema: { response: { 200: Type.Object({ sessions: SessionList }) } },
  },
  endSessions: {
    method: 'DELETE',
    path: '/v1/sessions',
    auth: true,
    tag: 'Login',
    summary: 'End every login but this one',
    refusals: [],
    schema: { response: { 200: Type.Object({ count: Count }) } },
  },
  endSession: {
    method: 'DELETE',
    path: '/v1/sessions/:session',
    auth: true,
    tag: 'Login',
    summary: 'End one login, on every node',
    refusals: ['not_found'],
    schema: { params: Type.Object({ session: SessionName }), response: { 204: Nothing } },
  },
  getPrivacy: {
    method: 'GET',
    path: '/v1/privacy',
    auth: true,
    tag: 'Access',
    summary: 'Show from which senders the caller accepts messages',
    refusals: [],
    schema: { response: { 200: Access } },
  },
  setPrivacy: {
    method: 'PUT',
    path: '/v1/privacy',
    auth: true,
    tag: 'Access',
    summary: 'Set from which senders the caller accepts messages',
    refusals: [],
    schema: { body: Access, response: { 200: Access } },
  },
  listRules: {
    method: 'GET',
    path: '/v1/privacy/rules',
    auth: true,
    tag: 'Access',
    summary: 'List the users that the caller allows, blocks or keeps as contacts, sorted by name',
    refusals: [],
    schema: {
      querystring: Type.Object({ limit: Type.Optional(PageLimit), cursor: Type.Optional(Cursor) }),
      response: { 200: Rules },
    },
  },
  setRule: {
    method: 'PUT',
    path: '/v1/privacy/rules/:username',
    auth: true,
    tag: 'Access',
    summary: 'Allow or block one other user',
    refusals: ['invalid_username', 'unknown_user', 'conflict'],
    schema: {
      params: ByName,
      body: Type.Object({ rule: SetRule }),
      response: { 200: Type.Object({ username: Name, rule: SetRule, known: Known }) },
    },
  },
  clearRule: {
    method: 'DELETE',
    path: '/v1/privacy/rules/:username',
    auth: true,
    tag: 'Access',
    summary: 'Remove the rule for another user',
    refusals: ['invalid_username'],
    schema: { params: ByName, response: { 204: Nothing } },
  },
  getCard: {
    method: 'GET',
    path: '/v1/users/:username/card',
    auth: true,
    tag: 'Cards',
    summary: "Fetch a user's signed card",
    refusals: ['invalid_username', 'unknown_user', 'not_found'],
    schema: { params: ByName, response: { 200: SignedCard } },
  },
  publishCard: {
    method: 'PUT',
    path: '/v1/card',
    auth: true,
    tag: 'Cards',
    summary: "Publish the caller's card, in place of the previous one",
    refusals: ['conflict'],
    schema: { body: Type.Object({ card: Card }), response: { 204: Nothing } },
  },
  removeCard: {
    method: 'DELETE',
    path: '/v1/card',
    auth: true,
    tag: 'Cards',
    summary: "Remove the caller's card",
    refusals: [],
    schema: { response: { 204: Nothing } },
  },
  fetchKeys: {
    method: 'POST',
    path: '/v1/users/:username/keys',
    auth: true,
    tag: 'Keys',
    summary: 'Fetch a bundle and one-time keys, handed out once; the same id gets the same answer for 60 s',
    refusals: ['invalid_username', 'unknown_user', 'no_keys', 'forbidden', 'id_reused'],
    schema: { params: ByName, body: Type.Object({ id: Id }), response: { 200: Keys } },
  },
  publishKeys: {
    method: 'PUT',
    path: '/v1/keys',
    auth: true,
    tag: 'Keys',
    summary: 'Publish a bundle and refill the pools of one-time keys',
    refusals: ['conflict'],
    schema: { body: Upload, response: { 200: Counts } },
  },
  send: {
    method: 'POST',
    path: '/v1/messages',
    auth: true,
    tag: 'Messages',
    summary: 'Store an envelope for a recipient; the id is the idempotency key',
    refusals: ['invalid_username', 'forbidden', 'unknown_user', 'id_reused', 'message_too_large', 'inbox_full'],
    schema: {
      body: Message,
      response: { 202: Accepted },
    },
  },
  readInbox: {
    method: 'GET',
    path: '/v1/inbox',
    auth: true,
    tag: 'Messages',
    summary: 'Read unacknowledged envelopes, oldest first; waits for one if there is none; acknowledges nothing',
    refusals: ['conflict'],
    schema: {
      querystring: Type.Object({
        limit: Type.Optional(Type.Integer({ minimum: 1, maximum: limits.maxUnacked, default: limits.defaultPage })),
        wait: Type.Optional(Type.Integer({ minimum: 0, maximum: limits.maxWaitS, default: 0 })),
        after: Type.Optional(
          Type.Integer({
            minimum: 0,
            maximum: Number.MAX_SAFE_INTEGER,
            default: 0,
            description: 'the cursor of an earlier answer: returns later envelopes only',
          }),
        ),
      }),
      response: { 200: Inbox },
    },
  },
  ackInbox: {
    method: 'POST',
    path: '/v1/inbox/ack',
    auth: true,
    tag: 'Messages',
    summary: 'Acknowledge everything up to seq, which the caller has stored',
    refusals: ['bad_ack', 'conflict'],
    schema: { body: Type.Object({ seq: Seq, epoch: Epoch }), response: { 204: Nothing } },
  },
} as const satisfies Record<string, HttpRoute>
