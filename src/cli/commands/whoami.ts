import type { Command } from 'commander'
import { type Context, notRegistered, type Start, withAgent } from '../context.ts'
import { escapeLine } from '../escape.ts'

export function addWhoami(program: Command, start: Start): void {
  program
    .command('whoami')
    .description("say this agent's address and identity key; asks no server")
    .addHelpText('after', '\nJSON: {username, domain, address, identity}')
    .action((_options: object, command: Command) => start(command, whoami))
}

async function whoami(context: Context): Promise<void> {
  const { settings, output } = context
  const account = await withAgent(context, async client => client.account)
  if (!account) throw notRegistered(settings)
  await output.print(account, paint => [
    paint.bold(escapeLine(account.address)),
    `identity key ${account.identity}`,
    paint.dim(`agent "${settings.agent}" in ${escapeLine(settings.directory)}`),
  ])
}
