import type { Command } from 'commander'
import type { Client, MessageView } from '../../../client/node.ts'
import { escapeLine } from '../../../util/escape.ts'
import { wholeEnd } from '../../../util/well-formed.ts'
import { type Context, type Start, withAgent, withConnectedAgent } from '../../base/context.ts'
import { CliError, notWaiting } from '../../base/failure.ts'
import { parseCount, parseSeconds } from '../../base/options.ts'
import { timeText } from '../../text/message-text.ts'

type Options = { wait: number; limit?: number; count?: boolean }

/** Length of a preview, characters. */
const previewChars = 200
const pageSize = 500

export function addInbox(program: Command, start: Start): void {
  program
    .command('inbox')
    .description('list the unread messages, and acknowledge none of them')
    .option('--wait <seconds>', 'ask the server for new messages up to this time (default: 1)', parseSeconds, 1_000)
    .option('--limit <n>', 'list at most this number of messages', parseCount)
    .option('--count', 'print only their number')
    .addHelpText(
      'after',
      '\nA running listener of this agent goes on and loses nothing. Without a server, it lists what is stored here.\n' +
        'JSON: {id, from, preview, sentAt, verified}, one line each; more is the number of characters that follow.\n' +
        'With --count: {unread}. The exit code is 0 also if there is no message.',
    )
    .action((options: Options, command: Command) => start(command, context => inbox(context, options)))
}

export function addAck(program: Command, start: Start): void {
  program
    .command('ack')
    .description('acknowledge messages by their ids: they are not shown again, and their senders learn it')
    .argument('<ids...>', 'ids, as inbox shows them')
    .addHelpText('after', '\nJSON: {acknowledged}, the number of messages. An id that is not unread ends with 3.')
    .action((ids: string[], _options: object, command: Command) => start(command, context => ack(context, ids)))
}

async function inbox(context: Context, { wait, limit = Number.POSITIVE_INFINITY, count }: Options): Promise<void> {
  const { output, interruption } = context
  await withAgent(context, async client => {
    const { signal } = interruption
    if (wait > 0) await take(client, wait, signal)
    if (count) {
      const unread = await client.mailbox.unread()
      return output.print({ unread }, () => [String(unread)])
    }
    let shown = 0
    for await (const message of unreadOf(client)) {
      if (shown === limit) break
      shown += 1
      await output.print(toJson(message), (paint, columns) => draw(message, paint, columns))
    }
    if (shown === 0) output.note({ event: 'empty' }, 'no unread messages')
  })
}

/** How long no message may arrive until all that waited at the server have, ms. */
const quietMs = 300

/** Takes what waits at the server into the state: until nothing new has come for a while, and at most `waitMs`. */
async function take(client: Client, waitMs: number, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + waitMs
  const end = new AbortController()
  const listening = client.attend(AbortSignal.any([end.signal, signal]))
  listening.catch(() => {})
  try {
    for (let after = await newest(client), patience = waitMs; ; patience = quietMs) {
      const left = Math.max(0, Math.min(patience, deadline - performance.now()))
      const { messages, cursor } = await client.mailbox.wait({ waitMs: left, after, signal })
      if (messages.length === 0) return
      after = cursor
    }
  } finally {
    end.abort()
    await listening.catch(() => {})
  }
}

/** Returns the position of the last unread message. */
async function newest(client: Client): Promise<number> {
  let { cursor, more } = await client.mailbox.list({ limit: pageSize })
  while (more) ({ cursor, more } = await client.mailbox.list({ after: cursor, limit: pageSize }))
  return cursor
}

async function* unreadOf({ mailbox }: Client): AsyncGenerator<MessageView, void, undefined> {
  for (let after = 0, more = true; more; ) {
    const page = await mailbox.list({ after, limit: pageSize })
    yield* page.messages
    after = page.cursor
    more = page.more
  }
}

function previewOf({ text, body }: MessageView): { preview: string; more: number } {
  if (text === undefined) return { preview: `(${body.length} bytes that are not text)`, more: 0 }
  const preview = cut(text, previewChars)
  return { preview, more: text.length - preview.length }
}

const cut = (text: string, length: number): string => text.slice(0, wholeEnd(text, length))

function toJson(message: MessageView): object {
  const { id, from, sentAt, verified, kind, re, deadline, error } = message
  const { preview, more } = previewOf(message)
  return {
    id,
    from,
    preview,
    ...(more > 0 && { more }),
    sentAt,
    verified,
    ...(kind !== 'application' && { kind }),
    ...(re !== undefined && { re }),
    ...(error && { error }),
    ...(deadline !== undefined && { deadline, ...(deadline <= Date.now() && { expired: true }) }),
  }
}

type Draw = Parameters<Context['output']['print']>[1]

function draw(message: MessageView, ...[paint, columns]: Parameters<Draw>): string[] {
  const { id, from, sentAt, verified, kind } = message
  const label = kind === 'application' ? '' : `  ${kind}`
  const head = `${paint.bold(paint.cyan(escapeLine(from)))}  ${paint.dim(`${timeText(sentAt)}  ${verified}${label}  ${id}`)}`
  const { preview, more } = previewOf(message)
  const line = escapeLine(preview.replaceAll('\n', ' '))
  const room = Math.max(20, (columns ?? previewChars) - 6)
  return [head, `    ${line.length > room || more > 0 ? `${cut(line, room)}…` : line}`]
}

async function ack(context: Context, ids: readonly string[]): Promise<void> {
  const acknowledged = await withConnectedAgent(context, ({ mailbox }) => mailbox.ack(ids))
  await context.output.print({ acknowledged }, () => [`acknowledged ${acknowledged}`])
  if (acknowledged < new Set(ids).size)
    throw new CliError('refused', 'not_open', 'some of these messages are not unread: run "aimessage inbox"')
}

/** Returns an unread message by its id. @throws {CliError} `not_open` */
export async function unreadMessage({ mailbox }: Client, id: string): Promise<MessageView> {
  const message = await mailbox.get(id)
  if (!message) throw notWaiting(id)
  return message
}
