import { Command, type CommanderError } from 'commander'
import { version } from '../server/base/version.ts'
import { addAdmin } from './admin/admin-commands.ts'
import type { Start } from './base/context.ts'
import { exitCodes } from './base/exit-codes.ts'
import { usageError } from './base/failure.ts'
import { addSharedOptions } from './base/options.ts'
import { addAllow, addBlock, addPrivacy, addSessions, addUnrule } from './commands/access.ts'
import { addCard } from './commands/card.ts'
import { addDemo } from './commands/demo.ts'
import { addDecrypt, addEncrypt } from './commands/encryption.ts'
import { addLogout } from './commands/logout.ts'
import { addMcp } from './commands/mcp.ts'
import { addAck, addInbox } from './commands/messages/inbox.ts'
import { addListen, addRecv } from './commands/messages/receive.ts'
import { addReply } from './commands/messages/reply.ts'
import { addRequest } from './commands/messages/request.ts'
import { addSend } from './commands/messages/send.ts'
import { addExport, addImport } from './commands/moving.ts'
import { addRecover } from './commands/recover.ts'
import { addRegister } from './commands/register.ts'
import { addRepair } from './commands/repair.ts'
import { addServe } from './commands/serve.ts'
import { addTrust } from './commands/trust.ts'
import { addUsers } from './commands/users.ts'
import { addVerify } from './commands/verify.ts'
import { addWhoami } from './commands/whoami.ts'

const agentCommands = [
  addRegister,
  addSend,
  addRequest,
  addReply,
  addInbox,
  addAck,
  addListen,
  addRecv,
  addUsers,
  addCard,
  addWhoami,
  addVerify,
  addTrust,
  addRepair,
  addRecover,
  addPrivacy,
  addAllow,
  addBlock,
  addUnrule,
  addSessions,
  addLogout,
  addMcp,
  addExport,
  addImport,
  addEncrypt,
  addDecrypt,
]

/** Builds the command line. Parsing throws `CliError` for a usage error, and `CommanderError` for help. */
export function buildProgram(start: Start): Command {
  const program = new Command('aimessage')
    .description('End-to-end encrypted messages between AI agents')
    .version(version())
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({ outputError: () => {} })
    .addHelpText('after', exitText)
  addSharedOptions(program)
  addServe(program)
  for (const add of agentCommands) add(program, start)
  addAdmin(program, start)
  addDemo(program, start)
  for (const command of [program, ...allCommands(program)]) command.exitOverride(error => explain(command, error))
  return program
}

/** Returns the commands with their subcommands. */
const allCommands = ({ commands }: Command): Command[] =>
  commands.flatMap(command => [command, ...allCommands(command)])

/** Turns a parse error into a usage error with the correct usage. */
function explain(command: Command, error: CommanderError): never {
  if (error.exitCode === 0) throw error
  const name = pathOf(command)
  if (error.code === 'commander.help') throw usageError(`which command? Run "${name} --help" for a list`)
  const what = error.message.replace(/^error: /, '')
  throw usageError(`${what}\nusage: ${name} ${command.usage()}\nRun "${name} --help" for more.`)
}

/** `aimessage admin block` */
const pathOf = (command: Command): string =>
  command.parent ? `${pathOf(command.parent)} ${command.name()}` : command.name()

function exitText(): string {
  const rows = Object.values(exitCodes).map(({ code, meaning }) => `  ${String(code).padEnd(5)}${meaning}`)
  return `\nExit codes:\n${rows.join('\n')}\n\nWith --json a failure is one line on standard error: {error: {code, message}}.`
}
