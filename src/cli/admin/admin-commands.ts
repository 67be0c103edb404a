import type { Command } from 'commander'
import type { Static } from 'typebox'
import { adminRoutes } from '../../protocol/admin-http.ts'
import { eachPage } from '../../util/pages.ts'
import type { Context, Start } from '../context.ts'
import { escapeLine } from '../escape.ts'
import { timeText } from '../message-text.ts'
import { parseCount } from '../options.ts'
import type { Draw } from '../output.ts'
import { type AdminAccess, callAdmin } from './admin-api.ts'
import { readAdminToken } from './admin-token.ts'

const routes = adminRoutes
const secondsPerHour = 3_600

type Options = { tokenFile?: string; hours?: number; prefix?: string; online?: boolean }
type Subject = { argument: string; options: Options; print(value: object, draw: Draw): Promise<void> }

/** One command of `aimessage admin`. */
type AdminCommand = {
  name: string
  /** What stands behind the name, as `<name>`; none, where there is nothing to name. */
  argument?: string
  does: string
  json: string
  options?: (command: Command) => Command
  run(access: AdminAccess, subject: Subject): Promise<void>
}

const at = (path: string, value: string): string => path.replace(/:\w+/, encodeURIComponent(value))

/** Everything an operator does, in the order of the help. */
export const adminCommands: readonly AdminCommand[] = [
  {
    name: 'invite',
    does: 'make an invite for one user, and show its text, once',
    json: '{invite, id, expiresAt}',
    options: command => command.option('--hours <n>', 'how long it may be used (default: 24)', parseCount),
    run: async (access, { options: { hours }, print }) => {
      const { path, method, schema } = routes.createInvite
      const body = hours === undefined ? {} : { expiresIn: hours * secondsPerHour }
      const created = await callAdmin(access, { method, path, body }, schema.response[201])
      await print(created, paint => [created.invite, paint.dim(`${created.id} until ${timeText(created.expiresAt)}`)])
    },
  },
  {
    name: 'invites',
    does: 'list the invites that have not expired, and who used them',
    json: '{id, expiresAt, usedBy}, one line each',
    run: async (access, { print }) => {
      const { path, method, schema } = routes.listInvites
      const pages = eachPage(query => callAdmin(access, { method, path, query }, schema.response[200]))
      for await (const { invites } of pages)
        for (const invite of invites) await print(invite, () => [drawInvite(invite)])
    },
  },
  {
    name: 'uninvite',
    argument: 'id',
    does: 'take an invite back, by its id',
    json: '{id, revoked: true}',
    run: async (access, { argument: id, print }) => {
      const { path, method, schema } = routes.revokeInvite
      await callAdmin(access, { method, path: at(path, id) }, schema.response[204])
      await print({ id, revoked: true }, () => ['it lets nobody in any more'])
    },
  },
  {
    name: 'users',
    does: 'list who is registered, by name',
    json: '{username, online, lastSeenAt}, one line each',
    options: command =>
      command
        .option('--online', 'only those who are listening now')
        .option('--prefix <text>', 'only names that start so'),
    run: async (access, { options: { online, prefix }, print }) => {
      const { path, method, schema } = routes.listUsers
      const pages = eachPage(next =>
        callAdmin(access, { method, path, query: { online, prefix, ...next } }, schema.response[200]),
      )
      for await (const { users } of pages) for (const user of users) await print(user, () => [drawUser(user)])
    },
  },
  {
    name: 'user',
    argument: 'name',
    does: 'show one user: its state, and how much waits for it, how large and how old',
    json: '{username, identity, registeredAt, lastSeenAt, online, blocked, deleted, writers, sessions, queue: {messages, bytes, oldestAt}}',
    run: async (access, { argument: name, print }) => {
      const { path, method, schema } = routes.inspectUser
      const account = await callAdmin(access, { method, path: at(path, name) }, schema.response[200])
      await print(account, () => drawAccount(account))
    },
  },
  {
    name: 'block',
    argument: 'name',
    does: 'keep a user out: it cannot log in, its sessions end, nobody can write to it',
    json: '{username, blocked: true, sessionsEnded}',
    run: async (access, { argument: username, print }) => {
      const { path, method, schema } = routes.blockUser
      const { sessionsEnded } = await callAdmin(access, { method, path: at(path, username) }, schema.response[200])
      await print({ username, blocked: true, sessionsEnded }, () => [`blocked; ${sessionsEnded} sessions ended`])
    },
  },
  {
    name: 'unblock',
    argument: 'name',
    does: 'let it in again, with what waited for it',
    json: '{username, blocked: false}',
    run: async (access, { argument: username, print }) => {
      const { path, method, schema } = routes.unblockUser
      await callAdmin(access, { method, path: at(path, username) }, schema.response[204])
      await print({ username, blocked: false }, () => ['it may log in again'])
    },
  },
  {
    name: 'end-sessions',
    argument: 'name',
    does: 'end every login of a user, which may log in again',
    json: '{username, ended}',
    run: async (access, { argument: username, print }) => {
      const { path, method, schema } = routes.endSessions
      const { count } = await callAdmin(access, { method, path: at(path, username) }, schema.response[200])
      await print({ username, ended: count }, () => [`${count} ended`])
    },
  },
  {
    name: 'delete',
    argument: 'name',
    does: 'delete a user: mail, keys and sessions go for good, the name stays reserved for its key',
    json: '{username, deleted: true}',
    run: async (access, { argument: username, print }) => {
      const { path, method, schema } = routes.deleteUser
      await callAdmin(access, { method, path: at(path, username) }, schema.response[204])
      await print({ username, deleted: true }, () => ['deleted; the name is still its key’s'])
    },
  },
  {
    name: 'release',
    argument: 'name',
    does: 'for an agent that lost its key: delete the user, and free its name for another key',
    json: '{username, released: true}',
    run: async (access, { argument: username, print }) => {
      const { path, method, schema } = routes.releaseName
      await callAdmin(access, { method, path: at(path, username) }, schema.response[204])
      await print({ username, released: true }, () => [
        'free for any key; who knew the old one is told when it meets another',
      ])
    },
  },
  {
    name: 'nodes',
    does: 'list the nodes, and how many inboxes each holds',
    json: '{node, leaseEndsAt, listening, self}, one line each',
    run: async (access, { print }) => {
      const { path, method, schema } = routes.listNodes
      const { nodes } = await callAdmin(access, { method, path }, schema.response[200])
      for (const node of nodes)
        await print(node, paint => [
          `${node.node}  ${node.listening} listening${node.self ? paint.dim('  answers here') : ''}`,
        ])
    },
  },
  {
    name: 'drain',
    argument: 'node',
    does: 'have a node close its sockets and take nothing new, until its process is ended',
    json: '{node, draining: true}',
    run: async (access, { argument, print }) => {
      const { path, method, schema } = routes.drainNode
      const { node } = await callAdmin(access, { method, path: at(path, argument) }, schema.response[202])
      await print({ node, draining: true }, () => ['it drains; end its process when you like'])
    },
  },
]

type Invite = Static<(typeof routes.listInvites.schema.response)[200]>['invites'][number]
type User = Static<(typeof routes.listUsers.schema.response)[200]>['users'][number]
type Account = Static<(typeof routes.inspectUser.schema.response)[200]>

const drawInvite = ({ id, expiresAt, usedBy }: Invite): string =>
  `${id}  until ${timeText(expiresAt)}${usedBy === null ? '' : `  used by ${escapeLine(usedBy)}`}`

const drawUser = ({ username, online, lastSeenAt }: User): string =>
  `${escapeLine(username).padEnd(32)}  ${online ? 'online' : `last seen ${timeText(lastSeenAt)}`}`

function drawAccount(account: Account): string[] {
  const { username, identity, registeredAt, lastSeenAt, online, blocked, deleted, writers, sessions, queue } = account
  const state = [deleted && 'deleted', blocked && 'blocked', online ? 'online' : 'offline'].filter(Boolean).join(', ')
  const oldest = queue.oldestAt === null ? '' : `, the oldest of ${timeText(queue.oldestAt)}`
  return [
    `${escapeLine(username)}  ${state}`,
    `identity key ${identity}`,
    `registered ${timeText(registeredAt)}, last seen ${timeText(lastSeenAt)}, ${sessions} sessions`,
    `${writers} may write`,
    `${queue.messages} messages wait, ${queue.bytes} bytes${oldest}`,
  ]
}

/** Adds `admin` with all of its commands. */
export function addAdmin(program: Command, start: Start): void {
  const admin = program
    .command('admin')
    .description('administrate a deployment; the token is in AIMESSAGE_ADMIN_TOKEN or ADMIN_TOKEN, or in a file')
    .option('--token-file <file>', 'where the token is, instead of the variable')
    .addHelpText('after', '\nJSON: as each command says. Nodes have to run with ADMIN_TOKEN, 32 characters or more.')
  for (const one of adminCommands) addOne(admin, one, start)
}

function addOne(admin: Command, { name, argument, does, json, options, run }: AdminCommand, start: Start): void {
  const command = admin.command(name).description(does).addHelpText('after', `\nJSON: ${json}`)
  if (argument !== undefined) command.argument(`<${argument}>`)
  options?.(command)
  command.action((...said: unknown[]) =>
    start(command, context => run(accessOf(context, command.optsWithGlobals()), subjectOf(context, command, said[0]))),
  )
}

const accessOf = ({ settings, interruption }: Context, { tokenFile }: Options): AdminAccess => ({
  server: settings.server,
  token: readAdminToken(tokenFile),
  signal: interruption.signal,
  ...(settings.caFile !== undefined && { caFile: settings.caFile }),
})

const subjectOf = ({ output }: Context, command: Command, argument: unknown): Subject => ({
  argument: typeof argument === 'string' ? argument : '',
  options: command.opts(),
  print: (value, draw) => output.print(value, draw),
})
