import type { Command } from 'commander'
import { NotOpenError } from '../../../client/base/errors.ts'
import type { Client, MessageView } from '../../../client/node.ts'
import { type Context, type Start, withConnectedAgent } from '../../base/context.ts'
import { usageError } from '../../base/failure.ts'
import { unreadMessage } from './inbox.ts'
import { bodyOf } from './send.ts'

type Options = { refuse?: string }
type Answered = { id: string; to: string; late?: true }

export function addReply(program: Command, start: Start): void {
  program
    .command('reply')
    .description('answer an unread message or request by its id, and acknowledge it')
    .argument('<id>', 'id, as inbox shows it')
    .argument('[text]', 'the answer; without it, all bytes of standard input')
    .option('--refuse <code>', 'decline a request with this code of a-z 0-9 _; TEXT is the reason')
    .addHelpText(
      'after',
      '\nA request gets one reply. After its time the answer is sent as a message with the id of the request.\n' +
        'JSON: {id, to}; late is true after the time of the request.',
    )
    .action((id: string, text: string | undefined, options: Options, command: Command) =>
      start(command, context => reply(context, id, text, options)),
    )
}

async function reply(context: Context, id: string, text: string | undefined, options: Options): Promise<void> {
  // A code is enough for a refusal.
  const body = options.refuse !== undefined && text === undefined ? '' : await bodyOf(context, text)
  const answered = await withConnectedAgent(context, client => answer(client, id, body, options))
  await context.output.print(answered, paint => [`${paint.green('answered')} ${id} of ${paint.bold(answered.to)}`])
}

async function answer(client: Client, id: string, body: string | Uint8Array, { refuse }: Options): Promise<Answered> {
  const message = await unreadMessage(client, id)
  const { from: to, kind, deadline } = message
  if (refuse !== undefined) {
    if (kind !== 'request') throw usageError(`--refuse is for requests, and ${id} is a message`)
    await client.refuse(message, { code: refuse, message: typeof body === 'string' ? body : textOf(body) })
    return { id, to }
  }
  if (kind === 'request' && deadline !== undefined && deadline > Date.now() && (await isReplied(client, message, body)))
    return { id, to }
  await client.send(to, body, { inReplyTo: message })
  await client.mailbox.ack([id])
  return { id, to, ...(kind === 'request' && { late: true }) }
}

/** Returns false if the time of the request ended meanwhile. */
async function isReplied(client: Client, request: MessageView, body: string | Uint8Array): Promise<boolean> {
  try {
    await client.reply(request, body)
    return true
  } catch (error) {
    if (error instanceof NotOpenError) return false
    throw error
  }
}

const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)
