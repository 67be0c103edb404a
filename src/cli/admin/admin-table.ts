import type { Command } from 'commander'
import { parseCount } from '../base/options.ts'

/** The options of the administration's commands, as Commander gives them. */
export type AdminOptions = { tokenFile?: string; hours?: number; prefix?: string; online?: boolean }

export type AdminCommand = {
  name: string
  /** The name of its one argument. */
  argument?: string
  description: string
  json: string
  addOptions?: (command: Command) => Command
}

/** Every command of `aimessage admin`, in the order of the help. `admin-actions.ts` has what each one does. */
export const adminCommands = [
  {
    name: 'invite',
    description: 'create an invite for one user and show its text, once',
    json: '{invite, id, expiresAt}',
    addOptions: command => command.option('--hours <n>', 'hours until it expires (default: 24)', parseCount),
  },
  {
    name: 'invites',
    description: 'list the invites that have not expired, and the user that each one admitted',
    json: '{id, expiresAt, usedBy}, one line each',
  },
  {
    name: 'uninvite',
    argument: 'id',
    description: 'revoke an invite by its id',
    json: '{id, revoked: true}',
  },
  {
    name: 'users',
    description: 'list the registered users, sorted by name',
    json: '{username, online, lastSeenAt}, one line each',
    addOptions: command =>
      command
        .option('--online', 'only users that are listening now')
        .option('--prefix <text>', 'only names that start with this text'),
  },
  {
    name: 'user',
    argument: 'name',
    description: 'show one user: its state, and the number, size and age of its waiting messages',
    json:
      '{username, identity, registeredAt, lastSeenAt, online, blocked, deleted, writers, sessions,\n' +
      'queue: {messages, bytes, oldestAt}}',
  },
  {
    name: 'block',
    argument: 'name',
    description: 'block a user: it cannot log in, its logins end, and nobody can write to it',
    json: '{username, blocked: true, sessionsEnded}',
  },
  {
    name: 'unblock',
    argument: 'name',
    description: 'let a blocked user log in again; its waiting messages are kept',
    json: '{username, blocked: false}',
  },
  {
    name: 'end-sessions',
    argument: 'name',
    description: 'end every login of a user; it may log in again',
    json: '{username, ended}',
  },
  {
    name: 'delete',
    argument: 'name',
    description: 'delete a user: its messages, keys and logins are lost; the name stays reserved for its key',
    json: '{username, deleted: true}',
  },
  {
    name: 'release',
    argument: 'name',
    description: 'delete a user that lost its key, and make its name available to another key',
    json: '{username, released: true}',
  },
  {
    name: 'nodes',
    description: 'list the nodes and the number of inboxes that each one holds',
    json: '{node, leaseEndsAt, listening, self}, one line each',
  },
  {
    name: 'drain',
    argument: 'node',
    description: 'make a node close its connections and accept nothing new, until its process ends',
    json: '{node, draining: true}',
  },
] as const satisfies readonly AdminCommand[]

export type AdminCommandName = (typeof adminCommands)[number]['name']
