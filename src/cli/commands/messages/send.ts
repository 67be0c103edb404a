import type { Command } from 'commander'
import { UnreachableError } from '../../../client/base/errors.ts'
import { saidWith } from '../../../client/base/server-words.ts'
import type { Accepted, Client } from '../../../client/node.ts'
import { escapeLine } from '../../../util/escape.ts'
import { type Context, type Start, withConnectedAgent } from '../../base/context.ts'
import { CliError, toFailure, usageError } from '../../base/failure.ts'
import { parseCount, parseSeconds } from '../../base/options.ts'
import { readStandardInput } from '../../input/standard-input.ts'
import { unreadMessage } from './inbox.ts'

/** `ttl` in seconds, `timeout` in ms. */
type Options = { ttl?: number; timeout?: number; re?: string }
/** How long to wait for `accepted`, ms. */
const defaultTimeoutMs = 30_000
type Draft = { to: string; body: string | Uint8Array } & Options

const kept = 'it is stored here, and the next command of this agent that connects sends it'

export function addSend(program: Command, start: Start): void {
  program
    .command('send')
    .description('send one message, end-to-end encrypted; ends when a node has stored it')
    .argument('<to>', 'name, or name@domain')
    .argument('[text]', 'the message; without it, all bytes of standard input')
    .option('--ttl <seconds>', 'how long the server keeps it for an absent recipient', parseCount)
    .option('--timeout <seconds>', 'how long to wait for the node (default: 30)', parseSeconds)
    .option('--re <id>', 'answer the unread message with this id, without acknowledging it')
    .addHelpText(
      'after',
      '\nQuote a TEXT of several words; put "--" before a TEXT that starts with a dash.\n' +
        'JSON: {id, to, seq, queued}; queued is true if the recipient was not listening',
    )
    .action((to: string, text: string | undefined, options: Options, command: Command) =>
      start(command, async context => send(context, { to, body: await bodyOf(context, text), ...options })),
    )
}

/** Returns the text argument or the content of standard input. @throws {CliError} `usage` if both are empty */
export const bodyOf = async (context: Context, text: string | undefined): Promise<string | Uint8Array> =>
  text ?? (await fromInput(context))

async function fromInput({ interruption, output }: Context): Promise<Uint8Array> {
  if (process.stdin.isTTY) output.note({ event: 'reading' }, 'type the message, then Ctrl-D:')
  const body = await readStandardInput(interruption.signal)
  if (body.length === 0) throw usageError('there is nothing to send: give a TEXT, or standard input')
  return body
}

async function send(context: Context, draft: Draft): Promise<void> {
  const { to } = draft
  const { id, seq, queued } = await sendOrKeep(context, draft)
  await context.output.print({ id, to, seq, queued }, paint => [
    `${paint.green('sent')} ${id} to ${paint.bold(escapeLine(to))}${queued ? ', who is away: it waits' : ''}`,
  ])
}

/** The client stores a message before it sends it: if the wait ends early, the error says that it may still be sent. */
async function sendOrKeep(context: Context, draft: Draft): Promise<Accepted> {
  let isKept = false
  try {
    return await withConnectedAgent(context, client => {
      isKept = true
      return sendInTime(client, draft)
    })
  } catch (error) {
    if (isKept && error instanceof UnreachableError) throw new UnreachableError(`${error.message}; ${kept}`, error)
    if (isKept && context.interruption.signal.aborted)
      context.output.note({ event: 'kept' }, `not accepted yet; ${kept}`)
    throw error
  }
}

async function sendInTime(client: Client, { to, body, ttl, timeout = defaultTimeoutMs, re }: Draft): Promise<Accepted> {
  let delay: Error | undefined
  client.on('delayed', event => {
    if (event.to === to.split('@')[0]) delay = event.error
  })
  const inReplyTo = re === undefined ? undefined : await unreadMessage(client, re)
  if (inReplyTo && inReplyTo.from !== to.split('@')[0]) throw usageError(`${re} is a message of ${inReplyTo.from}`)
  const isLate = AbortSignal.timeout(timeout)
  try {
    const options = { signal: isLate, ...(ttl !== undefined && { ttlS: ttl }), ...(inReplyTo && { inReplyTo }) }
    return await client.send(to, body, options)
  } catch (error) {
    throw isLate.aborted ? late(timeout, delay) : error
  }
}

/** The error has the code of what delays the message, if known. */
function late(timeoutMs: number, delay: Error | undefined): CliError {
  const { exit, code, message } = delay
    ? toFailure(delay)
    : { exit: 'unreachable' as const, code: 'timeout', message: '' }
  const why = message && ` (${message})`
  const text = `not accepted within ${timeoutMs / 1_000} s${why}; ${kept}`
  return new CliError(exit, code, text, { serverSaid: saidWith(delay) })
}
