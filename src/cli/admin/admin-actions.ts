import type { Static, TSchema } from 'typebox'
import { repeatedPage } from '../../client/base/repeated-page.ts'
import { adminRoutes as routes } from '../../protocol/admin-http.ts'
import { escapeLine } from '../../util/escape.ts'
import { eachPage } from '../../util/pages.ts'
import type { Draw } from '../base/output.ts'
import { timeText } from '../text/message-text.ts'
import { type AdminAccess, callAdmin } from './admin-api.ts'
import type { AdminCommandName, AdminOptions } from './admin-table.ts'

const secondsPerHour = 3_600

/** One result: its JSON value, and its lines for a person. */
type Result = [value: object, draw: Draw]
type Action = (access: AdminAccess, argument: string, options: AdminOptions) => AsyncIterable<Result>
type Route = { method: string; path: string }

const pathOf = ({ path }: Route, argument: string): string => path.replace(/:\w+/, encodeURIComponent(argument))

/** One call, whose path takes the argument. */
const single = <Schema extends TSchema>(
  route: Route,
  schema: Schema,
  toResult: (answer: Static<Schema>, argument: string) => Result,
  toBody?: (options: AdminOptions) => object,
): Action =>
  async function* (access, argument, options) {
    const call = { method: route.method, path: pathOf(route, argument), ...(toBody && { body: toBody(options) }) }
    yield toResult(await callAdmin(access, call, schema), argument)
  }

/** All pages of a list, one result for each item. */
const paged = <Schema extends TSchema>(
  { method, path }: Route,
  schema: Schema,
  toResults: (page: Static<Schema>) => Result[],
): Action =>
  async function* (access, _argument, { online, prefix }) {
    const pages = eachPage(async next => {
      const page = await callAdmin(access, { method, path, query: { online, prefix, ...next } }, schema)
      return { page, cursor: cursorOf(page) }
    }, repeatedPage)
    for await (const { page } of pages) yield* toResults(page)
  }

/** Null for a list that has one page. */
function cursorOf(page: unknown): string | null {
  const { cursor } = Object(page)
  return typeof cursor === 'string' ? cursor : null
}

const invites = routes.listInvites.schema.response[200]
const users = routes.listUsers.schema.response[200]
const account = routes.inspectUser.schema.response[200]
const nodes = routes.listNodes.schema.response[200]

/** What each command does. */
export const adminActions: Record<AdminCommandName, Action> = {
  invite: single(
    routes.createInvite,
    routes.createInvite.schema.response[201],
    created => [created, paint => [created.invite, paint.dim(`${created.id} until ${timeText(created.expiresAt)}`)]],
    ({ hours }) => (hours === undefined ? {} : { expiresIn: hours * secondsPerHour }),
  ),
  invites: paged(routes.listInvites, invites, page => page.invites.map(invite => [invite, () => [drawInvite(invite)]])),
  uninvite: single(routes.revokeInvite, routes.revokeInvite.schema.response[204], (_none, id) => [
    { id, revoked: true },
    () => ['the invite is revoked'],
  ]),
  users: paged(routes.listUsers, users, page => page.users.map(user => [user, () => [drawUser(user)]])),
  user: single(routes.inspectUser, account, found => [found, () => drawAccount(found)]),
  block: single(routes.blockUser, routes.blockUser.schema.response[200], ({ sessionsEnded }, username) => [
    { username, blocked: true, sessionsEnded },
    () => [`blocked; ${sessionsEnded} logins ended`],
  ]),
  unblock: single(routes.unblockUser, routes.unblockUser.schema.response[204], (_none, username) => [
    { username, blocked: false },
    () => ['the user may log in again'],
  ]),
  'end-sessions': single(routes.endSessions, routes.endSessions.schema.response[200], ({ count }, username) => [
    { username, ended: count },
    () => [`${count} logins ended`],
  ]),
  delete: single(routes.deleteUser, routes.deleteUser.schema.response[204], (_none, username) => [
    { username, deleted: true },
    () => ['deleted; the name stays reserved for its key'],
  ]),
  release: single(routes.releaseName, routes.releaseName.schema.response[204], (_none, username) => [
    { username, released: true },
    () => ['any key may register the name now; agents that knew the old key see a key change'],
  ]),
  nodes: paged(routes.listNodes, nodes, page => page.nodes.map(node => [node, paint => [drawNode(node, paint.dim)]])),
  drain: single(routes.drainNode, routes.drainNode.schema.response[202], ({ node }) => [
    { node, draining: true },
    () => ['the node drains; end its process when it is ready'],
  ]),
}

type Invite = Static<typeof invites>['invites'][number]
type User = Static<typeof users>['users'][number]
type Node = Static<typeof nodes>['nodes'][number]

const drawInvite = ({ id, expiresAt, usedBy }: Invite): string =>
  `${id}  until ${timeText(expiresAt)}${usedBy === null ? '' : `  used by ${escapeLine(usedBy)}`}`

const drawUser = ({ username, online, lastSeenAt }: User): string =>
  `${escapeLine(username).padEnd(32)}  ${online ? 'online' : `last seen ${timeText(lastSeenAt)}`}`

const drawNode = ({ node, listening, self }: Node, dim: (text: string) => string): string =>
  `${node}  ${listening} listening${self ? dim('  answered this call') : ''}`

function drawAccount(user: Static<typeof account>): string[] {
  const { username, identity, registeredAt, lastSeenAt, online, blocked, deleted, writers, sessions, queue } = user
  const state = [deleted && 'deleted', blocked && 'blocked', online ? 'online' : 'offline'].filter(Boolean).join(', ')
  const oldest = queue.oldestAt === null ? '' : `, the oldest from ${timeText(queue.oldestAt)}`
  return [
    `${escapeLine(username)}  ${state}`,
    `identity key ${identity}`,
    `registered ${timeText(registeredAt)}, last seen ${timeText(lastSeenAt)}, ${sessions} logins`,
    `${writers} may write`,
    `${queue.messages} messages wait, ${queue.bytes} bytes${oldest}`,
  ]
}
