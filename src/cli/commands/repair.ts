import type { Command } from 'commander'
import { escapeLine } from '../../util/escape.ts'
import { type Context, type Start, withAgent } from '../base/context.ts'

export function addRepair(program: Command, start: Start): void {
  program
    .command('repair')
    .description("forget PEER's key and sessions, if their record in the state is damaged")
    .argument('<peer>', 'name, or name@domain')
    .addHelpText(
      'after',
      '\nThe next key of PEER is trusted as at first contact: compare it with "aimessage verify PEER NUMBER".\n' +
        'JSON: {peer, repaired}; repaired is false if the record is not damaged',
    )
    .action((peer: string, _options: object, command: Command) => start(command, context => repair(context, peer)))
}

async function repair(context: Context, peer: string): Promise<void> {
  const repaired = await withAgent(context, client => client.repairPeer(peer))
  const name = escapeLine(peer)
  const text = repaired
    ? `${name} is forgotten; compare its key again after its next message`
    : `the record of ${name} is not damaged; nothing was changed`
  await context.output.print({ peer, repaired }, () => [text])
}
