import type { Command } from 'commander'
import { type Context, type Start, withConnectedAgent } from '../base/context.ts'

export function addLogout(program: Command, start: Start): void {
  program
    .command('logout')
    .description('end the stored login; the identity stays, and the next command logs in again')
    .addHelpText('after', '\nJSON: {loggedOut: true}')
    .action((_options: object, command: Command) => start(command, logout))
}

async function logout(context: Context): Promise<void> {
  await withConnectedAgent(context, client => client.logout())
  await context.output.print({ loggedOut: true }, () => ['logged out'])
}
