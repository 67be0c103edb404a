import type { Command } from 'commander'
import { raceAbort } from '../../util/signal.ts'
import { type Context, type Start, withNewAgent } from '../context.ts'
import { escapeLine } from '../escape.ts'

export function addRegister(program: Command, start: Start): void {
  program
    .command('register')
    .description('claim NAME for this agent, with a key that is made for it; the name is its own for good')
    .argument('<name>', '3 to 32 of a-z 0-9 . _ -')
    .option('--invite <code>', 'where the server asks for one')
    .addHelpText('after', '\nJSON: {username, domain, address, identity}')
    .action((name: string, options: { invite?: string }, command: Command) =>
      start(command, context => register(context, name, options)),
    )
}

async function register(context: Context, name: string, options: { invite?: string }): Promise<void> {
  const { settings, output, interruption } = context
  const account = await withNewAgent(settings, client => raceAbort(client.register(name, options), interruption.signal))
  await output.print(account, paint => [
    `${paint.green('registered')} ${paint.bold(escapeLine(account.address))}`,
    `identity key ${account.identity}`,
  ])
}
