import { readFile } from 'node:fs/promises'
import type { Command } from 'commander'
import type { AgentCard, CardContent, Client } from '../../client/node.ts'
import { CryptoError } from '../../crypto/errors.ts'
import { formatAddress } from '../../protocol/names.ts'
import { asError } from '../../util/as-error.ts'
import { escapeLine, escapeLines } from '../../util/escape.ts'
import { type Context, notRegistered, type Start, withConnectedAgent } from '../base/context.ts'
import { usageError } from '../base/failure.ts'
import type { Paint } from '../base/paint.ts'
import { toA2aCard } from '../text/a2a-card.ts'

type Options = {
  title?: string
  description?: string
  capability?: string[]
  requests?: boolean
  file?: string
  remove?: boolean
  a2a?: boolean
}

export function addCard(program: Command, start: Start): void {
  program
    .command('card')
    .description('show the card of an agent, or publish the card of this one')
    .argument('[peer]', 'the agent; without it, this agent')
    .option('--title <text>', 'publish a card with this title')
    .option('--description <text>', 'what the agent does')
    .option('--capability <tag...>', 'tags that others can search for: a-z 0-9 . _ -')
    .option('--requests', 'the card says that the agent answers requests')
    .option('--file <json>', 'publish {title, description?, version?, capabilities, acceptsRequests} from a file')
    .option('--remove', 'remove the card of this agent')
    .option('--a2a', 'print the card as an A2A agent card')
    .addHelpText(
      'after',
      '\nAn agent writes its own card: nobody has checked its content.\n' +
        'JSON: {username, title, description?, version?, capabilities, acceptsRequests, verified, identity, signed};\n' +
        'after --remove {removed}',
    )
    .action((peer: string | undefined, options: Options, command: Command) =>
      start(command, context => card(context, peer, options)),
    )
}

async function card(context: Context, peer: string | undefined, options: Options): Promise<void> {
  const content = await readContent(options)
  if (peer !== undefined && (content || options.remove))
    throw usageError('you can change only your own card: omit PEER')
  await withConnectedAgent(context, async client => {
    if (options.remove) return remove(context, client)
    if (content) await client.cards.publish(content)
    await show(context, client, await client.cards.of(peer), options.a2a === true ? 'a2a' : 'own')
  })
}

async function remove({ output }: Context, client: Client): Promise<void> {
  await client.cards.remove()
  await output.print({ removed: true }, () => ['the card is removed'])
}

async function show(
  { output, settings }: Context,
  client: Client,
  found: AgentCard,
  shape: 'a2a' | 'own',
): Promise<void> {
  const { account } = client
  if (!account) throw notRegistered(settings)
  if (shape === 'own') return output.print(found, paint => drawCard(found, paint))
  const exported = toA2aCard(found, { address: formatAddress(found.username, account.domain), url: settings.server })
  await output.print(exported, () => escapeLines(JSON.stringify(exported, null, 2)))
}

/** Returns the card that the options describe, if any. */
async function readContent({
  title,
  description,
  capability,
  requests,
  file,
}: Options): Promise<CardContent | undefined> {
  const said = [title, description, capability, requests].some(one => one !== undefined)
  if (file !== undefined && said) throw usageError('--file contains the whole card: omit the other options')
  if (file !== undefined) return check(await readJson(file), `--file ${file}`)
  if (!said) return undefined
  if (title === undefined) throw usageError('a card needs a --title')
  const content = { title, capabilities: capability ?? [], acceptsRequests: requests === true }
  return check({ ...content, ...(description !== undefined && { description }) }, 'the card')
}

async function readJson(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, 'utf8'))
  } catch (error) {
    throw usageError(`--file ${file} is not readable JSON (${asError(error).message})`)
  }
}

async function check(value: unknown, what: string): Promise<CardContent> {
  const { checkCardContent } = await import('../../crypto/keys/card.ts')
  try {
    return checkCardContent(value)
  } catch (error) {
    if (!(error instanceof CryptoError)) throw error
    throw usageError(
      `${what} is not valid: title has 1 to 80 characters, description up to 500, version up to 32; ` +
        'capabilities are up to 16 different tags of 1 to 32 of a-z 0-9 . _ -; acceptsRequests is true or false',
    )
  }
}

const trusts = {
  verified: 'its key was compared',
  'first-use': 'its key is the first one seen',
  unmet: 'no contact yet: its key is what the server reports',
}

export function drawCard(found: AgentCard, paint: Paint): string[] {
  const { username, title, description, version, capabilities, acceptsRequests, verified } = found
  return [
    `${paint.bold(escapeLine(username))}  ${escapeLine(title)}${version === undefined ? '' : ` ${escapeLine(version)}`}`,
    ...(description === undefined ? [] : escapeLines(description).map(line => `  ${line}`)),
    ...(capabilities.length > 0 ? [`  can: ${capabilities.map(escapeLine).join(', ')}`] : []),
    `  ${acceptsRequests ? 'answers requests' : 'does not answer requests'}`,
    paint.dim(`  written by the agent itself; ${trusts[verified]}`),
  ]
}
