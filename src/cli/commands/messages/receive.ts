import type { Command } from 'commander'
import type { Client, ReceiveOptions } from '../../../client/node.ts'
import { raceAbort } from '../../../util/signal.ts'
import { type Context, type Start, withAgent } from '../../base/context.ts'
import { usageError } from '../../base/failure.ts'
import { parseCount, parseSeconds } from '../../base/options.ts'
import type { Output } from '../../base/output.ts'
import { deliverEach } from '../../delivery/deliver.ts'
import { reportEvents } from '../../text/event-report.ts'
import { drawMessage, messageJson } from '../../text/message-text.ts'
import { withheldText } from '../../text/peer-text.ts'

type Options = { count?: number; wait?: number }
type ListenOptions = Options & {
  exec?: string
  execTimeout?: number
  webhook?: string
  plainWebhook?: boolean
  touch?: string
}

/** Limit for --exec, ms: a command that hangs blocks the messages behind it. */
const defaultExecTimeoutMs = 300_000

const shape = '\nJSON: {id, from, body, sentAt, verified}, one line each; bodyBase64 replaces body if it is not UTF-8'
const events = '\nEvents of the connection and of messages are reported on standard error; JSON: {event, …}'
const wake =
  '\nA message that --exec or --webhook does not accept is retried, and the messages behind it wait. For a request, the\n' +
  'output of --exec is the reply.'
const promise =
  '\nA message is acknowledged after its line is written. If the acknowledgement was interrupted, the message is shown\n' +
  'again with the same id.'

export function addListen(program: Command, start: Start): void {
  program
    .command('listen')
    .description('show messages as they arrive; reconnects when needed')
    .option('--count <n>', 'end after this number of messages', parseCount)
    .option(
      '--exec <command>',
      'run this for each message, with JSON on its standard input; exit code 0 acknowledges it',
    )
    .option('--exec-timeout <seconds>', 'kill the command after this time (default: 300)', parseSeconds)
    .option(
      '--webhook <url>',
      'post each message, signed with AIMESSAGE_WEBHOOK_SECRET; an answer of 2xx acknowledges it',
    )
    .option('--plain-webhook', 'allow --webhook http:// to a host outside of private networks, unencrypted')
    .option('--touch <file>', "set this file's modification time when messages arrive; acknowledges nothing")
    .addHelpText('after', `${promise}${shape}${events}${wake}`)
    .action((options: ListenOptions, command: Command) => start(command, context => listen(context, options)))
}

export function addRecv(program: Command, start: Start): void {
  program
    .command('recv')
    .description('show the waiting messages, and end')
    .option('--wait <seconds>', 'wait for messages up to this time', parseSeconds, 0)
    .option('--count <n>', 'end after this number of messages; without it, after all waiting ones', parseCount)
    .addHelpText('after', `${promise}${shape}${events}`)
    .action((options: Options, command: Command) => start(command, context => recv(context, options)))
}

async function listen(context: Context, options: ListenOptions): Promise<void> {
  const { interruption, output } = context
  const { count } = options
  const act = await actOf(options)
  interruption.isOrderly = true
  await withAgent(context, async client => {
    reportEvents(client, output, 'everything')
    await raceAbort(client.connect(), interruption.signal)
    await reportWithheld(client, output)
    await act({ client, output, signal: interruption.signal, ...(count !== undefined && { count }) })
  })
}

type Act = (listening: { client: Client; output: Output; signal: AbortSignal; count?: number }) => Promise<void>

/** Returns what the command does with messages. @throws {CliError} `usage` */
async function actOf(options: ListenOptions): Promise<Act> {
  const { exec, execTimeout = defaultExecTimeoutMs, webhook, plainWebhook = false, touch } = options
  if ([exec, webhook, touch].filter(option => option !== undefined).length > 1) {
    throw usageError('use only one of --exec, --webhook and --touch: an agent has one listener')
  }
  if (touch !== undefined) {
    const { touchFor } = await import('../../delivery/touch.ts')
    return ({ client, signal }) => touchFor(client, touch, signal)
  }
  if (exec !== undefined) {
    const { execDeliver } = await import('../../delivery/exec.ts')
    return listening => deliverEach({ ...listening, deliver: execDeliver(listening.client, exec, execTimeout) })
  }
  if (webhook === undefined) return ({ client, output, ...options }) => show(client, output, options)
  const { webhookDeliver } = await import('../../delivery/webhook.ts')
  const deliver = webhookDeliver(webhook, {
    secret: process.env.AIMESSAGE_WEBHOOK_SECRET,
    isPlainAllowed: plainWebhook,
  })
  return listening => deliverEach({ ...listening, deliver })
}

/** Reports messages that are not shown because of the key that they came under. */
async function reportWithheld(client: Client, output: Output): Promise<void> {
  for (const withheld of await client.mailbox.withheld()) {
    output.note({ event: 'withheld', ...withheld }, withheldText(withheld))
  }
}

async function recv(context: Context, { count, wait = 0 }: Options): Promise<void> {
  const { interruption, output } = context
  await withAgent(context, async client => {
    reportEvents(client, output, 'exceptions')
    await raceAbort(client.connect(), interruption.signal)
    await show(client, output, { signal: interruption.signal, waitMs: wait, ...(count !== undefined && { count }) })
    await reportWithheld(client, output)
  })
}

/** Asking for the next message acknowledges the previous one, whose line the operating system has accepted by then. */
async function show(client: Client, output: Output, options: ReceiveOptions): Promise<void> {
  for await (const message of client.receive(options)) {
    await output.print(messageJson(message), (paint, columns) => drawMessage(message, paint, columns))
  }
}
