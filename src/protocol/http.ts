import type { TSchema } from 'typebox'
import * as Type from 'typebox'
import {
  Body,
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
  Name,
  Nonce,
  PageLimit,
  Published,
  PushedEnvelope,
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
  summary: string
  schema: { params?: TSchema; querystring?: TSchema; body?: TSchema; response: Record<number, TSchema> }
}

const Session = Type.Object({ username: Name, token: Token, expiresAt: TimeMs })
const Nothing = Type.Null({ description: 'done' })
const ByName = Type.Object({ username: Name })
const Envelope = Type.Object({ ...PushedEnvelope, kind: Kind })

/** RFC 9457, with the protocol's `code`. */
export const Problem = Type.Object({
  type: Type.String(),
  title: Type.String(),
  status: Type.Integer(),
  code: Type.String(),
  detail: Type.String(),
  retryAfter: Type.Optional(Type.Number({ minimum: 0, description: 'seconds' })),
})

export const httpRoutes = {
  challenge: {
    method: 'POST',
    path: '/v1/auth/challenge',
    auth: false,
    summary: 'Request a nonce to sign, valid once, for this name, for 60 s',
    schema: {
      body: Type.Object({ username: Name }),
      response: { 200: Type.Object({ nonce: Nonce, domain: Type.String(), expiresAt: TimeMs }) },
    },
  },
  register: {
    method: 'POST',
    path: '/v1/users',
    auth: false,
    summary: 'Claim a name for a key; with the same key again it is a login',
    schema: {
      body: Type.Object({
        username: Name,
        identity: Identity,
        nonce: Nonce,
        signature: Signature,
        invite: Type.Optional(Invite),
        again: Type.Optional(Type.Boolean()),
      }),
      response: { 200: Session, 201: Session },
    },
  },
  login: {
    method: 'POST',
    path: '/v1/auth/token',
    auth: false,
    summary: 'Log in: exchange a signed nonce for a token',
    schema: { body: Type.Object({ username: Name, nonce: Nonce, signature: Signature }), response: { 200: Session } },
  },
  logout: {
    method: 'DELETE',
    path: '/v1/auth/token',
    auth: true,
    summary: 'End this token on every node',
    schema: { response: { 204: Nothing } },
  },
  listUsers: {
    method: 'GET',
    path: '/v1/users',
    auth: true,
    summary: 'List users by page, sorted by name',
    schema: {
      querystring: Type.Object(UserQuery),
      response: { 200: Type.Object(UserPage) },
    },
  },
  getUser: {
    method: 'GET',
    path: '/v1/users/:username',
    auth: true,
    summary: 'Show one user with its identity key',
    schema: {
      params: ByName,
      response: {
        200: Type.Object({
          username: Name,
          identity: Identity,
          online: Type.Boolean(),
          lastSeenAt: TimeMs,
          registeredAt: TimeMs,
        }),
      },
    },
  },
  deleteUser: {
    method: 'DELETE',
    path: '/v1/users/:username',
    auth: true,
    summary: "Delete the caller's mail and keys; the name stays reserved for its key",
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
    summary: "List the caller's logins, oldest first",
    schema: { response: { 200: Type.Object({ sessions: SessionList }) } },
  },
  endSessions: {
    method: 'DELETE',
    path: '/v1/sessions',
    auth: true,
    summary: 'End every login but this one',
    schema: { response: { 200: Type.Object({ count: Count }) } },
  },
  endSession: {
    method: 'DELETE',
    path: '/v1/sessions/:session',
    auth: true,
    summary: 'End one login, on every node',
    schema: { params: Type.Object({ session: SessionName }), response: { 204: Nothing } },
  },
  getPrivacy: {
    method: 'GET',
    path: '/v1/privacy',
    auth: true,
    summary: 'Show from which senders the caller accepts messages',
    schema: { response: { 200: Type.Object({ writers: Writers }) } },
  },
  setPrivacy: {
    method: 'PUT',
    path: '/v1/privacy',
    auth: true,
    summary: 'Set from which senders the caller accepts messages',
    schema: { body: Type.Object({ writers: Writers }), response: { 200: Type.Object({ writers: Writers }) } },
  },
  listRules: {
    method: 'GET',
    path: '/v1/privacy/rules',
    auth: true,
    summary: 'List the users that the caller allows, blocks or keeps as contacts, sorted by name',
    schema: {
      querystring: Type.Object({ limit: Type.Optional(PageLimit), cursor: Type.Optional(Cursor) }),
      response: { 200: Type.Object(RulePage) },
    },
  },
  setRule: {
    method: 'PUT',
    path: '/v1/privacy/rules/:username',
    auth: true,
    summary: 'Allow or block one other user',
    schema: {
      params: ByName,
      body: Type.Object({ rule: SetRule }),
      response: { 200: Type.Object({ username: Name, rule: SetRule }) },
    },
  },
  clearRule: {
    method: 'DELETE',
    path: '/v1/privacy/rules/:username',
    auth: true,
    summary: 'Remove the rule for another user',
    schema: { params: ByName, response: { 204: Nothing } },
  },
  getCard: {
    method: 'GET',
    path: '/v1/users/:username/card',
    auth: true,
    summary: "Fetch a user's signed card",
    schema: { params: ByName, response: { 200: Type.Object({ username: Name, card: Card }) } },
  },
  publishCard: {
    method: 'PUT',
    path: '/v1/card',
    auth: true,
    summary: "Publish the caller's card, in place of the previous one",
    schema: { body: Type.Object({ card: Card }), response: { 204: Nothing } },
  },
  removeCard: {
    method: 'DELETE',
    path: '/v1/card',
    auth: true,
    summary: "Remove the caller's card",
    schema: { response: { 204: Nothing } },
  },
  fetchKeys: {
    method: 'POST',
    path: '/v1/users/:username/keys',
    auth: true,
    summary: 'Fetch a bundle and one-time keys, handed out once; the same id gets the same answer for 60 s',
    schema: { params: ByName, body: Type.Object({ id: Id }), response: { 200: Type.Object(FetchedKeys) } },
  },
  publishKeys: {
    method: 'PUT',
    path: '/v1/keys',
    auth: true,
    summary: 'Publish a bundle and refill the pools of one-time keys',
    schema: { body: Type.Object(KeyUpload), response: { 200: Type.Object(Published) } },
  },
  send: {
    method: 'POST',
    path: '/v1/messages',
    auth: true,
    summary: 'Store an envelope for a recipient; the id is the idempotency key',
    schema: {
      body: Type.Object({ id: Id, to: Name, body: Body, kind: Type.Optional(Kind), ttl: Type.Optional(Ttl) }),
      response: { 202: Type.Object({ id: Id, seq: Seq, queued: Type.Boolean() }) },
    },
  },
  readInbox: {
    method: 'GET',
    path: '/v1/inbox',
    auth: true,
    summary: 'Read unacknowledged envelopes, oldest first; waits for one if there is none; acknowledges nothing',
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
      response: { 200: Type.Object({ messages: Type.Array(Envelope), cursor: Seq, queued: Count, epoch: Epoch }) },
    },
  },
  ackInbox: {
    method: 'POST',
    path: '/v1/inbox/ack',
    auth: true,
    summary: 'Acknowledge everything up to seq, which the caller has stored',
    schema: { body: Type.Object({ seq: Seq, epoch: Epoch }), response: { 204: Nothing } },
  },
} as const satisfies Record<string, HttpRoute>
