import * as Type from 'typebox'
import { Count, Cursor, Identity, Name, PageLimit, Prefix, TimeMs, Writers } from './fields.ts'
import { type HttpRoute, httpSchemas } from './http.ts'
import { limits } from './limits.ts'

const Nothing = Type.Null({ description: 'done' })
const ByName = Type.Object({ username: Name })
/** SHA-256 of an invite's text, base64url. */
const InviteId = Type.String({
  pattern: '^[A-Za-z0-9_-]{43}$',
  description: 'the id of an invite, which is not its text',
})
const NextPage = Type.Union([Type.String(), Type.Null()])

const Invite = Type.Object({ id: InviteId, expiresAt: TimeMs, usedBy: Type.Union([Name, Type.Null()]) })
const Account = Type.Object({
  username: Name,
  identity: Identity,
  registeredAt: TimeMs,
  lastSeenAt: TimeMs,
  online: Type.Boolean(),
  blocked: Type.Boolean(),
  deleted: Type.Boolean({ description: 'mail and keys are deleted, the name stays reserved for its key' }),
  writers: Writers,
  sessions: Count,
  queue: Type.Object({ messages: Count, bytes: Count, oldestAt: Type.Union([TimeMs, Type.Null()]) }),
})
const Node = Type.Object({
  node: Type.String(),
  leaseEndsAt: TimeMs,
  listening: Count,
  self: Type.Boolean({ description: 'the node that answers' }),
})

/** The names of further schemas in the OpenAPI document of a node with these routes. */
export const adminSchemas = { Account, Invite, Node } as const

/** The operator's routes, which need `ADMIN_TOKEN`: docs/PROTOCOL.md section 11. A key is the act in the audit log. */
export const adminRoutes = {
  createInvite: {
    method: 'POST',
    path: '/v1/admin/invites',
    tag: 'Administration',
    summary: 'Make an invite for one user; only this answer contains its text',
    refusals: [],
    schema: {
      body: Type.Object({
        expiresIn: Type.Optional(
          Type.Integer({
            minimum: 1,
            maximum: limits.maxInviteTtlS,
            default: limits.inviteTtlS,
            description: 'seconds',
          }),
        ),
      }),
      response: { 201: Type.Object({ invite: Type.String(), id: InviteId, expiresAt: TimeMs }) },
    },
  },
  listInvites: {
    method: 'GET',
    path: '/v1/admin/invites',
    tag: 'Administration',
    summary: 'List the invites that have not expired, next to expire first',
    refusals: [],
    schema: {
      querystring: Type.Object({
        limit: Type.Optional(PageLimit),
        cursor: Type.Optional(Type.String({ pattern: '^\\d{16} [A-Za-z0-9_-]{43}$' })),
      }),
      response: { 200: Type.Object({ invites: Type.Array(Invite), cursor: NextPage }) },
    },
  },
  revokeInvite: {
    method: 'DELETE',
    path: '/v1/admin/invites/:id',
    tag: 'Administration',
    summary: 'Revoke an invite',
    refusals: ['not_found'],
    schema: { params: Type.Object({ id: InviteId }), response: { 204: Nothing } },
  },
  listUsers: {
    method: 'GET',
    path: '/v1/admin/users',
    tag: 'Administration',
    summary: 'List users by page, sorted by name',
    refusals: [],
    schema: {
      querystring: Type.Object({
        online: Type.Optional(Type.Boolean()),
        prefix: Type.Optional(Prefix),
        limit: Type.Optional(PageLimit),
        cursor: Type.Optional(Cursor),
      }),
      response: { 200: httpSchemas.Users },
    },
  },
  inspectUser: {
    method: 'GET',
    path: '/v1/admin/users/:username',
    tag: 'Administration',
    summary: 'Show one user: its state, and the number, size and age of its waiting envelopes',
    refusals: ['invalid_username', 'unknown_user'],
    schema: { params: ByName, response: { 200: Account } },
  },
  blockUser: {
    method: 'PUT',
    path: '/v1/admin/users/:username/block',
    tag: 'Administration',
    summary:
      'Block a user: its logins end on every node, and it can neither log in nor receive; waiting envelopes stay',
    refusals: ['invalid_username', 'unknown_user'],
    schema: { params: ByName, response: { 200: Type.Object({ sessionsEnded: Count }) } },
  },
  unblockUser: {
    method: 'DELETE',
    path: '/v1/admin/users/:username/block',
    tag: 'Administration',
    summary: 'Unblock a user, which may then log in again',
    refusals: ['invalid_username', 'unknown_user'],
    schema: { params: ByName, response: { 204: Nothing } },
  },
  deleteUser: {
    method: 'DELETE',
    path: '/v1/admin/users/:username',
    tag: 'Administration',
    summary: 'Delete mail, keys and logins of a user; the name stays reserved for its key',
    refusals: ['invalid_username', 'unknown_user'],
    schema: { params: ByName, response: { 204: Nothing } },
  },
  releaseName: {
    method: 'DELETE',
    path: '/v1/admin/users/:username/key',
    tag: 'Administration',
    summary: 'Delete a user and free its name for another key, after the loss of the key',
    refusals: ['invalid_username', 'unknown_user'],
    schema: { params: ByName, response: { 204: Nothing } },
  },
  endSessions: {
    method: 'DELETE',
    path: '/v1/admin/users/:username/sessions',
    tag: 'Administration',
    summary: 'End every login of a user, which may log in again',
    refusals: ['invalid_username', 'unknown_user'],
    schema: { params: ByName, response: { 200: Type.Object({ count: Count }) } },
  },
  listNodes: {
    method: 'GET',
    path: '/v1/admin/nodes',
    tag: 'Administration',
    summary: 'List the nodes with a lease, and the number of inboxes that each one holds',
    refusals: [],
    schema: { response: { 200: Type.Object({ nodes: Type.Array(Node) }) } },
  },
  drainNode: {
    method: 'PUT',
    path: '/v1/admin/nodes/:node/drain',
    tag: 'Administration',
    summary: 'Drain a node: it closes its connections, accepts no new ones and is not ready until its process ends',
    refusals: ['not_found'],
    schema: {
      params: Type.Object({ node: Type.String({ maxLength: 64 }) }),
      response: { 202: Type.Object({ node: Type.String() }) },
    },
  },
} as const satisfies Record<string, Omit<HttpRoute, 'auth'>>
