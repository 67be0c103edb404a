import type { Command } from 'commander'
import type { PeerIdentity } from '../../client/node.ts'
import { type Context, type Start, withAgent } from '../base/context.ts'
import { drawPeer } from '../text/peer-text.ts'

export function addVerify(program: Command, start: Start): void {
  program
    .command('verify')
    .description('show the safety number shared with PEER; with what PEER sees, note that both are the same')
    .argument('<peer>', 'name, or name@domain')
    .argument('[shown]', "the safety number or the identity key that PEER's own side shows; not the one shown here")
    .addHelpText(
      'after',
      '\nAsks no server. Compare over a way that the server has no hand in: by voice, or in one room.\nJSON: {address, trust, identity, safetyNumber, seen?}; seen is another key that came under the name',
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
  const compare = `Both sides see the same number. If yours is theirs, too: aimessage verify ${peer} NUMBER`
  return seen
    ? [compare, `Or decide without comparing: aimessage trust ${peer}, or aimessage trust ${peer} --keep`]
    : [compare]
}
