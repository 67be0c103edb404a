import type { Command } from 'commander'
import type { Client } from '../../client/node.ts'
import { type Context, type Start, withConnectedAgent } from '../base/context.ts'
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
  const body = await bodyOf(context, text)
  const answered = await withConnectedAgent(context, client => answer(client, id, body, options))
  await context.output.print(answered, paint => [`${paint.green('answered')} ${id} of ${paint.bold(answered.to)}`])
}

async function answer(client: Client, id: string, body: string | Uint8Array, { refuse }: Options): Promise<Answered> {
  const message = await unreadMessage(client, id)
  const { from, kind, deadline } = message
  const isOpen = kind === 'request' && deadline !== undefined && deadline > Date.now()
  if (isOpen && refuse !== undefined) {
    await client.refuse(message, { code: refuse, message: typeof body === 'string' ? body : textOf(body) })
  } else if (isOpen) {
    await client.reply(message, body)
  } else {
    await client.send(from, body, { inReplyTo: message })
    await client.mailbox.ack([id])
  }
  return { id, to: from, ...(kind === 'request' && !isOpen && { late: true }) }
}

const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)
