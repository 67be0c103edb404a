import type { Command } from 'commander'
import { UnreachableError } from '../../client/base/errors.ts'
import type { Client, PeerIdentity } from '../../client/node.ts'
import { escapeLine } from '../../util/escape.ts'
import { raceAbort } from '../../util/signal.ts'
import { type Context, type Start, withAgent } from '../base/context.ts'
import type { Paint } from '../base/paint.ts'
import { numberRows } from '../text/peer-text.ts'

type Decision = 'accepted' | 'kept' | 'nothing-to-decide'

export function addTrust(program: Command, start: Start): void {
  program
    .command('trust')
    .description("accept PEER's changed identity key, or keep the old one")
    .argument('<peer>', 'name, or name@domain')
    .option('--keep', 'keep the old key; messages under another key stay refused')
    .addHelpText(
      'after',
      '\nAccept the new key only if you believe that PEER lost the old one. "aimessage verify PEER NUMBER" compares instead.\n' +
        'JSON: {address, decision, identity, safetyNumber, before?, refused?}; decision is accepted, kept or\n' +
        'nothing-to-decide; before and refused are {identity, safetyNumber} of the other key',
    )
    .action((peer: string, options: { keep?: boolean }, command: Command) =>
      start(command, context => trust(context, peer, options.keep ? 'kept' : 'accepted')),
    )
}

async function trust(context: Context, peer: string, wanted: 'accepted' | 'kept'): Promise<void> {
  const [before, after] = await withAgent(context, async client => {
    const known = await client.identityOf(peer)
    if (known.seen) await decide(client, context, peer, wanted)
    return [known, await client.identityOf(peer)] as const
  })
  const decision = before.seen ? wanted : 'nothing-to-decide'
  const other = wanted === 'accepted' ? before : before.seen
  await context.output.print(decisionJson(decision, after, other), paint => drawDecision(decision, before, paint))
}

async function decide(client: Client, context: Context, peer: string, wanted: 'accepted' | 'kept'): Promise<void> {
  if (wanted === 'kept') return client.distrustChange(peer)
  await raceAbort(client.connect(), context.interruption.signal).catch(error => {
    if (!(error instanceof UnreachableError)) throw error
    context.output.note({ event: 'offline' }, `${error.message}; the decision is stored here`)
  })
  await client.trustPeer(peer)
}

function decisionJson(decision: Decision, now: PeerIdentity, other: PeerIdentity['seen']): object {
  const { address, identity, safetyNumber } = now
  const rejected = other && { identity: other.identity, safetyNumber: other.safetyNumber }
  return {
    address,
    decision,
    identity,
    safetyNumber,
    ...(decision === 'accepted' && { before: rejected }),
    ...(decision === 'kept' && { refused: rejected }),
  }
}

function drawDecision(decision: Decision, { address, seen, safetyNumber }: PeerIdentity, paint: Paint): string[] {
  const name = paint.bold(escapeLine(address))
  if (!seen) return [`the key of ${name} has not changed; there is nothing to decide`]
  return [
    decision === 'kept' ? `${name} keeps its old key` : `${name} has its new key from now on`,
    'old safety number',
    ...numberRows(safetyNumber).map(row => `    ${row}`),
    'new safety number',
    ...numberRows(seen.safetyNumber).map(row => `    ${row}`),
  ]
}
