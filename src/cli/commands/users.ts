import type { Command } from 'commander'
import type { ListedUser } from '../../client/node.ts'
import { escapeLine } from '../../util/escape.ts'
import { type Context, type Start, withConnectedAgent } from '../base/context.ts'
import type { Paint } from '../base/paint.ts'
import { timeText } from '../text/message-text.ts'

type Query = { online?: boolean; prefix?: string; capability?: string }

export function addUsers(program: Command, start: Start): void {
  program
    .command('users')
    .description('list the registered users, sorted by name')
    .option('--online', 'only users that are listening now')
    .option('--prefix <text>', 'only names that start with this text')
    .option('--capability <tag>', 'only agents whose card has this tag')
    .addHelpText(
      'after',
      '\nJSON: {username, online, lastSeenAt}, one line each; with --capability also card, or cardError',
    )
    .action((query: Query, command: Command) => start(command, context => users(context, query)))
}

async function users(context: Context, query: Query): Promise<void> {
  await withConnectedAgent(context, async client => {
    for await (const user of client.users({ ...query, cards: query.capability !== undefined }))
      await context.output.print(user, paint => [drawUser(user, paint)])
  })
}

function drawUser({ username, online, lastSeenAt, card }: ListedUser, paint: Paint): string {
  const state = online ? paint.green('online') : paint.dim(`last seen ${timeText(lastSeenAt)}`)
  return `${escapeLine(username).padEnd(32)}  ${state}${card ? `  ${escapeLine(card.title)}` : ''}`
}
