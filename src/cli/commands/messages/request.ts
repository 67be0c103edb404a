import { type Command, InvalidArgumentError } from 'commander'
import { type Context, type Start, withConnectedAgent } from '../../base/context.ts'
import { parseSeconds } from '../../base/options.ts'
import { reportEvents } from '../../text/event-report.ts'
import { drawMessage, messageJson } from '../../text/message-text.ts'
import { bodyOf } from './send.ts'

type Options = { timeout?: number }
const defaultTimeoutMs = 30_000

export function addRequest(program: Command, start: Start): void {
  program
    .command('request')
    .description('send a request, and show the one reply')
    .argument('<to>', 'name, or name@domain')
    .argument('[text]', 'the request; without it, all bytes of standard input')
    .option('--timeout <seconds>', 'how long to wait for the reply (default: 30)', parseTimeout)
    .addHelpText(
      'after',
      '\nJSON: {id, from, body, sentAt, verified}, as for recv. A refusal exits with 3 and its code, a missing reply with 3 and\n' +
        'request_timeout.',
    )
    .action((to: string, text: string | undefined, options: Options, command: Command) =>
      start(command, context => request(context, to, text, options)),
    )
}

async function request(context: Context, to: string, text: string | undefined, { timeout }: Options): Promise<void> {
  const { output, interruption } = context
  const body = await bodyOf(context, text)
  const answer = await withConnectedAgent(context, client => {
    reportEvents(client, output, 'exceptions')
    return client.request(to, body, { timeoutMs: timeout ?? defaultTimeoutMs, signal: interruption.signal })
  })
  await output.print(messageJson(answer), (paint, columns) => drawMessage(answer, paint, columns))
}

function parseTimeout(text: string): number {
  const ms = parseSeconds(text)
  if (ms > 0) return ms
  throw new InvalidArgumentError('Use more than 0 seconds.')
}
