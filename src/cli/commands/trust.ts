import type { Command } from 'commander'
import { UnreachableError } from '../../client/base/errors.ts'
import type { Client, DecisionOptions, KeyDecision, PeerIdentity } from '../../client/node.ts'
import { escapeLine } from '../../util/escape.ts'
import { raceAbort } from '../../util/signal.ts'
import { type Context, type Start, withAgent } from '../base/context.ts'
import { CliError, usageError } from '../base/failure.ts'
import type { Paint } from '../base/paint.ts'
import { decisionRows, numberRows } from '../text/peer-text.ts'

type Decision = 'accepted' | 'kept' | 'nothing-to-decide'
type Options = { keep?: boolean; resend?: boolean; drop?: boolean }

export function addTrust(program: Command, start: Start): void {
  program
    .command('trust')
    .description("accept PEER's changed identity key, or keep the old one")
    .argument('<peer>', 'name, or name@domain')
    .argument('[key]', 'the new safety number or identity key, as verify has shown it; any other key is refused')
    .option('--keep', 'keep the old key; messages under another key stay refused')
    .option('--resend', 'send the messages that have no receipt yet to the new key')
    .option('--drop', 'give up the messages that have no receipt yet')
    .addHelpText(
      'after',
      '\nAccept the new key only if you believe that PEER lost the old one. "aimessage verify PEER NUMBER" compares instead.\n' +
        'If messages to PEER have no receipt yet, the command asks on a terminal, and needs --resend or --drop otherwise.\n' +
        'JSON: {address, decision, identity, safetyNumber, before?, refused?, resent?, dropped?, withheld?, restored?};\n' +
        'decision is accepted, kept or nothing-to-decide; before and refused are {identity, safetyNumber} of the other key;\n' +
        'the last four count messages',
    )
    .action((peer: string, key: string | undefined, options: Options, command: Command) =>
      start(command, context => trust(context, peer, key, options)),
    )
}

async function trust(context: Context, peer: string, key: string | undefined, options: Options): Promise<void> {
  if (options.keep && (key !== undefined || options.resend || options.drop)) {
    throw usageError('--keep keeps the old key: omit the key, --resend and --drop')
  }
  if (options.resend && options.drop) throw usageError('use only one of --resend and --drop')
  const wanted = options.keep ? 'kept' : 'accepted'
  const [before, after, done] = await withAgent(context, async client => {
    const known = await client.identityOf(peer)
    const done =
      known.seen || key !== undefined ? await decide(client, context, { peer, key, known, options }) : undefined
    return [known, await client.identityOf(peer), done] as const
  })
  const decision = done ? wanted : 'nothing-to-decide'
  const other = wanted === 'accepted' ? before : before.seen
  await context.output.print(decisionJson(decision, after, { other, done }), paint => [
    ...drawDecision(decision, { before, after }, paint),
    ...decisionRows(done),
  ])
}

type Question = { peer: string; key: string | undefined; known: PeerIdentity; options: Options }

async function decide(client: Client, context: Context, { peer, key, known, options }: Question): Promise<KeyDecision> {
  if (options.keep) {
    await client.distrustChange(peer)
    return { resent: 0, dropped: 0, withheld: 0, restored: 0 }
  }
  // The key that this process has read and displays, not the newest one at the time of the decision.
  const accepted = key ?? known.seen?.identity ?? known.identity
  const unconfirmed = await chooseUnconfirmed(context, peer, known, options)
  await raceAbort(client.connect(), context.interruption.signal).catch(error => {
    if (!(error instanceof UnreachableError)) throw error
    context.output.note({ event: 'offline' }, `${error.message}; the decision is stored here`)
  })
  return client.trustPeer(peer, accepted, { unconfirmed })
}

/**
 * Returns what becomes of messages without a receipt; undefined if there are none.
 * @throws {CliError} `unconfirmed_messages` if there are some and nobody can be asked
 */
async function chooseUnconfirmed(
  { interruption }: Context,
  peer: string,
  { unconfirmed = 0 }: PeerIdentity,
  { resend, drop }: Options,
): Promise<DecisionOptions['unconfirmed']> {
  if (resend) return 'send'
  if (drop) return 'drop'
  if (unconfirmed === 0) return undefined
  const count = `${unconfirmed} ${unconfirmed === 1 ? 'message' : 'messages'} to ${peer}`
  if (!process.stdin.isTTY) {
    throw new CliError(
      'refused',
      'unconfirmed_messages',
      `${count} have no receipt yet: add --resend to send them to the new key, or --drop to give them up; ` +
        'nothing was changed',
    )
  }
  const { promptLine } = await import('../input/prompt.ts')
  const question = `${escapeLine(count)} have no receipt yet. Send them to the new key? [yes/drop/Enter: decide later] `
  const answer = (await promptLine(question, interruption.signal)).trim().toLowerCase()
  if (answer === 'y' || answer === 'yes') return 'send'
  if (answer === 'd' || answer === 'drop') return 'drop'
  throw new CliError('refused', 'undecided', 'nothing was changed')
}

type Outcome = { other: PeerIdentity['seen']; done: KeyDecision | undefined }

function decisionJson(decision: Decision, now: PeerIdentity, { other, done }: Outcome): object {
  const { address, identity, safetyNumber } = now
  const rejected = other && { identity: other.identity, safetyNumber: other.safetyNumber }
  return {
    address,
    decision,
    identity,
    safetyNumber,
    ...(decision === 'accepted' && { before: rejected, ...done }),
    ...(decision === 'kept' && { refused: rejected }),
  }
}

type Numbers = { before: PeerIdentity; after: PeerIdentity }

function drawDecision(decision: Decision, { before, after }: Numbers, paint: Paint): string[] {
  const name = paint.bold(escapeLine(before.address))
  if (decision === 'nothing-to-decide') return [`the key of ${name} has not changed; there is nothing to decide`]
  const { safetyNumber = after.safetyNumber } = decision === 'kept' ? (before.seen ?? {}) : after
  return [
    decision === 'kept' ? `${name} keeps its old key` : `${name} has its new key from now on`,
    'old safety number',
    ...numberRows(before.safetyNumber).map(row => `    ${row}`),
    'new safety number',
    ...numberRows(safetyNumber).map(row => `    ${row}`),
  ]
}
