import type { Static, TObject } from 'typebox'
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
  KeyCounts,
  KeyUpload,
  Known,
  Name,
  Nonce,
  PageLimit,
  Published,
  PushedEnvelope,
  Reservation,
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

/** The state that a connection needs to send a frame. `listening` includes `authenticated`. */
export type ConnectionState = 'challenged' | 'authenticated' | 'listening'

const Send = { to: Name, body: Body, ttl: Type.Optional(Ttl) }

/** Every frame of a client: docs/PROTOCOL.md section 3. `reply` is the type of the answer, if it is not an `error`. */
export const clientFrames = {
  register: {
    state: 'challenged',
    reply: 'authenticated',
    schema: Type.Object({
      type: Type.Literal('register'),
      id: Id,
      username: Name,
      identity: Identity,
      signature: Signature,
      invite: Type.Optional(Invite),
      again: Type.Optional(Type.Boolean()),
    }),
  },
  authenticate: {
    state: 'challenged',
    reply: 'authenticated',
    schema: Type.Object({
      type: Type.Literal('authenticate'),
      id: Id,
      username: Type.Optional(Name),
      signature: Type.Optional(Signature),
      token: Type.Optional(Token),
    }),
  },
  listen: {
    state: 'authenticated',
    reply: 'listening',
    schema: Type.Object({ type: Type.Literal('listen'), id: Id, instance: Type.Optional(Id) }),
  },
  stop: {
    state: 'listening',
    reply: 'stopped',
    schema: Type.Object({ type: Type.Literal('stop'), id: Id }),
  },
  send: {
    state: 'authenticated',
    reply: 'accepted',
    schema: Type.Object({ type: Type.Literal('send'), id: Id, ...Send }),
  },
  key_exchange: {
    state: 'authenticated',
    reply: 'accepted',
    schema: Type.Object({ type: Type.Literal('key_exchange'), id: Id, ...Send }),
  },
  ack: {
    state: 'listening',
    reply: null,
    schema: Type.Object({ type: Type.Literal('ack'), seq: Seq }),
  },
  list_users: {
    state: 'authenticated',
    reply: 'user_list',
    schema: Type.Object({
      type: Type.Literal('list_users'),
      id: Id,
      ...UserQuery,
    }),
  },
  publish_card: {
    state: 'authenticated',
    reply: 'card_published',
    schema: Type.Object({ type: Type.Literal('publish_card'), id: Id, card: Type.Optional(Card) }),
  },
  fetch_card: {
    state: 'authenticated',
    reply: 'card',
    schema: Type.Object({ type: Type.Literal('fetch_card'), id: Id, username: Name }),
  },
  publish_keys: {
    state: 'authenticated',
    reply: 'published',
    schema: Type.Object({ type: Type.Literal('publish_keys'), id: Id, ...KeyUpload }),
  },
  fetch_keys: {
    state: 'authenticated',
    reply: 'keys',
    schema: Type.Object({ type: Type.Literal('fetch_keys'), id: Id, username: Name }),
  },
  reserve: {
    state: 'authenticated',
    reply: 'reserved',
    schema: Type.Object({ type: Type.Literal('reserve'), id: Id, upTo: Count, signature: Type.Optional(Signature) }),
  },
  sessions: {
    state: 'authenticated',
    reply: 'session_list',
    schema: Type.Object({ type: Type.Literal('sessions'), id: Id }),
  },
  end_sessions: {
    state: 'authenticated',
    reply: 'sessions_ended',
    schema: Type.Object({ type: Type.Literal('end_sessions'), id: Id, session: Type.Optional(SessionName) }),
  },
  privacy: {
    state: 'authenticated',
    reply: 'privacy',
    schema: Type.Object({ type: Type.Literal('privacy'), id: Id, writers: Type.Optional(Writers) }),
  },
  set_rule: {
    state: 'authenticated',
    reply: 'rule',
    schema: Type.Object({
      type: Type.Literal('set_rule'),
      id: Id,
      username: Name,
      rule: Type.Union([SetRule, Type.Literal('none')]),
    }),
  },
  list_rules: {
    state: 'authenticated',
    reply: 'rule_list',
    schema: Type.Object({
      type: Type.Literal('list_rules'),
      id: Id,
      limit: Type.Optional(PageLimit),
      cursor: Type.Optional(Cursor),
    }),
  },
  heartbeat: {
    state: 'challenged',
    reply: 'heartbeat',
    schema: Type.Object({ type: Type.Literal('heartbeat'), id: Type.Optional(Id) }),
  },
  logout: {
    state: 'authenticated',
    reply: 'stopped',
    schema: Type.Object({ type: Type.Literal('logout'), id: Id }),
  },
} as const satisfies Record<string, { state: ConnectionState; reply: ServerFrameType | null; schema: TObject }>

const Limits = Type.Object({ maxFrameBytes: Count, maxBodyChars: Count, maxUnacked: Count, heartbeatMs: Count })

/** Every frame of a node: docs/PROTOCOL.md section 4. */
export const serverFrames = {
  challenge: Type.Object({ type: Type.Literal('challenge'), nonce: Nonce, domain: Type.String(), limits: Limits }),
  authenticated: Type.Object({
    type: Type.Literal('authenticated'),
    id: Id,
    username: Name,
    token: Token,
    expiresAt: TimeMs,
    generation: Type.String(),
    reserved: Count,
    reservation: Type.Optional(Reservation),
  }),
  listening: Type.Object({ type: Type.Literal('listening'), id: Id, epoch: Epoch, queued: Count }),
  stopped: Type.Object({ type: Type.Literal('stopped'), id: Id }),
  accepted: Type.Object({ type: Type.Literal('accepted'), id: Id, seq: Seq, queued: Type.Boolean() }),
  message: Type.Object({ type: Type.Literal('message'), ...PushedEnvelope }),
  key_exchange: Type.Object({ type: Type.Literal('key_exchange'), ...PushedEnvelope }),
  user_list: Type.Object({ type: Type.Literal('user_list'), id: Id, ...UserPage }),
  card_published: Type.Object({ type: Type.Literal('card_published'), id: Id }),
  card: Type.Object({ type: Type.Literal('card'), id: Id, username: Name, card: Card }),
  published: Type.Object({ type: Type.Literal('published'), id: Id, ...Published }),
  keys: Type.Object({ type: Type.Literal('keys'), id: Id, ...FetchedKeys }),
  keys_low: Type.Object({ type: Type.Literal('keys_low'), ...KeyCounts }),
  reserved: Type.Object({
    type: Type.Literal('reserved'),
    id: Id,
    upTo: Count,
    reservation: Type.Optional(Reservation),
  }),
  session_list: Type.Object({ type: Type.Literal('session_list'), id: Id, sessions: SessionList }),
  sessions_ended: Type.Object({ type: Type.Literal('sessions_ended'), id: Id, count: Count }),
  privacy: Type.Object({ type: Type.Literal('privacy'), id: Id, writers: Writers }),
  rule: Type.Object({
    type: Type.Literal('rule'),
    id: Id,
    username: Name,
    rule: Type.Union([SetRule, Type.Literal('none')]),
    known: Known,
  }),
  rule_list: Type.Object({ type: Type.Literal('rule_list'), id: Id, ...RulePage }),
  heartbeat: Type.Object({ type: Type.Literal('heartbeat'), id: Type.Optional(Id), time: TimeMs }),
  error: Type.Object({
    type: Type.Literal('error'),
    id: Type.Optional(Id),
    code: Type.String(),
    message: Type.String(),
    retryAfter: Type.Optional(Type.Number({ minimum: 0 })),
  }),
}

export type ClientFrameType = keyof typeof clientFrames
export type ServerFrameType = keyof typeof serverFrames
export type ClientFrameOf<T extends ClientFrameType> = Static<(typeof clientFrames)[T]['schema']>
export type ServerFrameOf<T extends ServerFrameType> = Static<(typeof serverFrames)[T]>
export type ClientFrame = { [T in ClientFrameType]: ClientFrameOf<T> }[ClientFrameType]
export type ServerFrame = { [T in ServerFrameType]: ServerFrameOf<T> }[ServerFrameType]
