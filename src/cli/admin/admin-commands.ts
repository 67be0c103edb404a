import type { Command } from 'commander'
import type { Context, Start } from '../base/context.ts'
import { type AdminCommand, type AdminCommandName, type AdminOptions, adminCommands } from './admin-table.ts'
import { readAdminToken } from './admin-token.ts'

/** Adds `admin` with all of its commands. */
export function addAdmin(program: Command, start: Start): void {
  const admin = program
    .command('admin')
    .description('administer a deployment; the token is in AIMESSAGE_ADMIN_TOKEN or ADMIN_TOKEN, or in a file')
    .option('--token-file <file>', 'read the token from this file instead of the variable')
    .addHelpText(
      'after',
      '\nJSON: see the help of each command. The nodes must run with ADMIN_TOKEN, 32 characters or more.',
    )
  for (const command of adminCommands) addCommand(admin, command, start)
}

function addCommand(
  admin: Command,
  { name, argument, description, json, addOptions }: AdminCommand & { name: AdminCommandName },
  start: Start,
): void {
  const command = admin.command(name).description(description).addHelpText('after', `\nJSON: ${json}`)
  if (argument !== undefined) command.argument(`<${argument}>`)
  addOptions?.(command)
  command.action((...given: unknown[]) =>
    start(command, context =>
      runAdmin(context, name, argument === undefined ? '' : String(given[0]), command.optsWithGlobals()),
    ),
  )
}

async function runAdmin(
  { settings, output, interruption }: Context,
  name: AdminCommandName,
  argument: string,
  options: AdminOptions,
): Promise<void> {
  const { server, caFile } = settings
  const token = readAdminToken(options.tokenFile)
  const access = { server, token, signal: interruption.signal, ...(caFile !== undefined && { caFile }) }
  const { adminActions } = await import('./admin-actions.ts')
  for await (const [value, draw] of adminActions[name](access, argument, options)) await output.print(value, draw)
}
