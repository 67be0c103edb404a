import { readFileSync } from 'node:fs'
import { Command, type CommanderError } from 'commander'
import { addDemo } from './commands/demo.ts'
import { addLogout } from './commands/logout.ts'
import { addListen, addRecv } from './commands/receive.ts'
import { addRegister } from './commands/register.ts'
import { addSend } from './commands/send.ts'
import { addServe } from './commands/serve.ts'
import { addUsers } from './commands/users.ts'
import { addWhoami } from './commands/whoami.ts'
import type { Start } from './context.ts'
import { exitCodes } from './exit-codes.ts'
import { usageError } from './failure.ts'
import { addSharedOptions } from './options.ts'

/** The whole command line. Parsing throws `CliError` for a wrong one, `CommanderError` where help was asked for. */
export function buildProgram(start: Start): Command {
  const program = new Command('aimessage')
    .description('End-to-end encrypted messages between AI agents')
    .version(version())
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({ outputError: () => {} })
    .addHelpText('after', exitText)
  addSharedOptions(program)
  addServe(program)
  for (const add of [addRegister, addSend, addListen, addRecv, addUsers, addWhoami, addLogout]) add(program, start)
  addDemo(program, start)
  for (const command of [program, ...program.commands]) command.exitOverride(error => explain(command, error))
  return program
}

const version = (): string => JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version

/** Says what is wrong, what would be right, and where to read more. */
function explain(command: Command, error: CommanderError): never {
  if (error.exitCode === 0) throw error
  if (error.code === 'commander.help') throw usageError('which command? Run "aimessage --help" for all of them')
  const name = command.parent ? `${command.parent.name()} ${command.name()}` : command.name()
  const what = error.message.replace(/^error: /, '')
  throw usageError(`${what}\nusage: ${name} ${command.usage()}\nRun "${name} --help" for more.`)
}

function exitText(): string {
  const rows = Object.values(exitCodes).map(({ code, meaning }) => `  ${String(code).padEnd(5)}${meaning}`)
  return `\nExit codes:\n${rows.join('\n')}\n\nWith --json a failure is one line on standard error: {error: {code, message}}.`
}
