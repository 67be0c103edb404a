import type { Command } from 'commander'
import type { Client, ReceiveOptions } from '../../client/node.ts'
import { raceAbort } from '../../util/signal.ts'
import { type Context, type Start, withAgent } from '../context.ts'
import { reportEvents } from '../event-report.ts'
import { drawMessage, messageJson } from '../message-text.ts'
import { parseCount, parseSeconds } from '../options.ts'
import type { Output } from '../output.ts'

type Options = { count?: number; wait?: number }

const shape =
  '\nJSON: {id, from, body, sentAt, verified}, one line each; bodyBase64 in place of body where it is no UTF-8'
const promise =
  '\nA message is acknowledged once its line is written; one whose acknowledgement was cut off is shown again, with the same id.'

export function addListen(program: Command, start: Start): void {
  program
    .command('listen')
    .description('show messages as they come, over as many connections as it takes')
    .option('--count <n>', 'end after so many messages', parseCount)
    .addHelpText('after', `${promise}${shape}`)
    .action((options: Options, command: Command) => start(command, context => listen(context, options)))
}

export function addRecv(program: Command, start: Start): void {
  program
    .command('recv')
    .description('show the messages that are there, and end')
    .option('--wait <seconds>', 'wait so long for messages', parseSeconds, 0)
    .option('--count <n>', 'end after so many messages; without it, with all that are there', parseCount)
    .addHelpText('after', `${promise}${shape}`)
    .action((options: Options, command: Command) => start(command, context => recv(context, options)))
}

async function listen(context: Context, { count }: Options): Promise<void> {
  const { interruption, output } = context
  interruption.isOrderly = true
  await withAgent(context, async client => {
    reportEvents(client, output)
    await raceAbort(client.connect(), interruption.signal)
    await show(client, output, { signal: interruption.signal, ...(count !== undefined && { count }) })
  })
}

async function recv(context: Context, { count, wait = 0 }: Options): Promise<void> {
  const { interruption, output } = context
  await withAgent(context, async client => {
    await raceAbort(client.connect(), interruption.signal)
    await show(client, output, { signal: interruption.signal, waitMs: wait, ...(count !== undefined && { count }) })
  })
}

/** Asking for the next message acknowledges the one before: only once the system has taken its line. */
async function show(client: Client, output: Output, options: ReceiveOptions): Promise<void> {
  for await (const message of client.receive(options)) {
    await output.print(messageJson(message), (paint, columns) => drawMessage(message, paint, columns))
  }
}
