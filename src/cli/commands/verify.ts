import type { Command } from 'commander'
import type { PeerIdentity } from '../../client/node.ts'
import { type Context, type Start, withAgent } from '../base/context.ts'
import { drawPeer } from '../text/peer-text.ts'

export function addVerify(program: Command, start: Start): void {
  program
    .command('verify')
    .description('show the safety number shared with PEER; with the number that PEER sees, mark PEER as verified')
    .argument('<peer>', 'name, or name@domain')
    .argument('[shown]', "the safety number or identity key as PEER's own side shows it; do not copy it from here")
    .addHelpText(
      'after',
      '\nNeeds no server. Compare over a channel that the server does not control: by voice, or in person.\n' +
        'JSON: {address, trust, identity, safetyNumber, seen?}; seen is another key that was used under the name',
    )
    .action((peer: string, shown: string | undefined, _options: object, command: Command) =>
      start(command, context => verify(context, peer, shown)),
    )
}

async function verify(context: Context, peer: string, shown: string | undefined): Promise<void> {
  const known = await withAgent(context, async client => {
    if (shown !== undefined) await client.verifyPeer(peer, shown)
    return client.identityOf(peer)
  })
  await context.output.print(known, (paint, columns) => [
    ...drawPeer(known, paint, shown === undefined ? columns : undefined),
    ...(shown === undefined && known.trust !== 'verified' ? ['', ...nextSteps(known, peer)] : []),
  ])
}

function nextSteps({ seen }: PeerIdentity, peer: string): string[] {
  const compare = `Both sides must see the same number. Enter the one that ${peer} sees: aimessage verify ${peer} NUMBER`
  return seen
    ? [compare, `Or decide without a comparison: aimessage trust ${peer}, or aimessage trust ${peer} --keep`]
    : [compare]
}
