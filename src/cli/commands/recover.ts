import type { Command } from 'commander'
import { type Context, type Start, withAgent } from '../base/context.ts'

export function addRecover(program: Command, start: Start): void {
  program
    .command('recover')
    .description('start the sessions with all peers again, as after a restore from an older copy')
    .addHelpText(
      'after',
      '\nFor an agent that reports "recovery_needed", or cannot read its peers. Peers send unconfirmed messages again.\n' +
        'JSON: {peers}, the number of peers with which sessions start again',
    )
    .action((_options: object, command: Command) => start(command, recover))
}

async function recover(context: Context): Promise<void> {
  const { peers } = await withAgent(context, client => client.recover())
  const sessions = peers === 1 ? 'the sessions with 1 peer start again' : `the sessions with ${peers} peers start again`
  await context.output.print({ peers }, () => [sessions])
}
