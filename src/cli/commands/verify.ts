import type { Command } from 'commander'
import type { PeerIdentity } from '../../client/node.ts'
import { type Context, type Start, withAgent } from '../base/context.ts'
import { decisionRows, drawPeer } from '../text/peer-text.ts'

export function addVerify(program: Command, start: Start): void {
  program
    .command('verify')
    .description('show the safety number shared with PEER; with the number that PEER sees, mark PEER as verified')
    .argument('<peer>', 'name, or name@domain')
    .argument('[shown]', "the safety number or identity key as PEER's own side shows it; do not copy it from here")
    .option('--drop', 'if this changes the key: give up messages without a receipt; else they go to the new key')
    .addHelpText(
      'after',
      '\nNeeds no server. Compare over a channel that the server does not control: by voice, or in person.\n' +
        'JSON: {address, trust, identity, safetyNumber, seen?, unconfirmed?, resent?, dropped?, withheld?, restored?}; seen is\n' +
        'another key that was used under the name, unconfirmed counts messages without a receipt',
    )
    .action((peer: string, shown: string | undefined, options: { drop?: boolean }, command: Command) =>
      start(command, context => verify(context, peer, shown, options)),
    )
}

async function verify(
  context: Context,
  peer: string,
  shown: string | undefined,
  { drop }: { drop?: boolean },
): Promise<void> {
  const unconfirmed = drop ? 'drop' : 'send'
  const { known, done } = await withAgent(context, async client => {
    const done = shown === undefined ? undefined : await client.verifyPeer(peer, shown, { unconfirmed })
    return { known: await client.identityOf(peer), done }
  })
  await context.output.print({ ...known, ...done }, (paint, columns) => [
    ...drawPeer(known, paint, shown === undefined ? columns : undefined),
    ...decisionRows(done),
    ...(shown === undefined && known.trust !== 'verified' ? ['', ...nextSteps(known, peer)] : []),
  ])
}

function nextSteps({ seen, unconfirmed = 0 }: PeerIdentity, peer: string): string[] {
  const compare = `Both sides must see the same number. Enter the one that ${peer} sees: aimessage verify ${peer} NUMBER`
  return seen
    ? [
        compare,
        `Or decide without a comparison: aimessage trust ${peer} ${seen.identity}, or aimessage trust ${peer} --keep`,
        ...(unconfirmed > 0 ? [`Messages to ${peer} that have no receipt yet: ${unconfirmed}`] : []),
      ]
    : [compare]
}
