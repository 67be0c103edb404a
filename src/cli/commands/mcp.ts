import { randomBytes } from 'node:crypto'
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { Client } from '../../client/node.ts'
import { version } from '../../server/base/version.ts'
import { raceAbort } from '../../util/signal.ts'
import { type Context, notRegistered, type Start, withNewAgent } from '../base/context.ts'
import { toFailure, usageError } from '../base/failure.ts'
import type { Output } from '../base/output.ts'
import { addInviteOptions, type InviteOptions, readInvite } from '../input/invite.ts'
import { reportEvents } from '../text/event-report.ts'

type Options = InviteOptions & { http?: number; token?: string; name?: string }

/** A caller can try tokens over HTTP: a short one could be guessed. */
const minTokenChars = 16

export function addMcp(program: Command, start: Start): void {
  const command = program
    .command('mcp')
    .description('run an MCP server for this agent, over standard input and output')
    .option('--name <name>', 'register this name if the agent has none yet')
  addInviteOptions(command, 'a file with the invite')
    .option('--http <port>', 'serve Streamable HTTP on 127.0.0.1 instead; 0 means any free port', parsePort)
    .addOption(
      new Option(
        '--token <secret>',
        'token that HTTP callers must send (default: a new one, printed at the start)',
      ).env('AIMESSAGE_MCP_TOKEN'),
    )
    .addHelpText('after', '\nSettings for Claude Code, Codex and Cursor are in docs/AGENTS.md.')
    .action((options: Options, self: Command) => start(self, context => mcp(context, options)))
}

async function mcp(context: Context, options: Options): Promise<void> {
  const { settings, output, interruption } = context
  if (options.token !== undefined && options.token.length < minTokenChars) {
    throw usageError(`--token must have at least ${minTokenChars} characters`)
  }
  interruption.isOrderly = true
  await withNewAgent(settings, async client => {
    await register(context, client, options)
    reportEvents(client, output, 'exceptions')
    await serve(context, client, options)
  })
}

async function register({ settings, interruption }: Context, client: Client, options: Options): Promise<void> {
  if (client.account) return
  const { name } = options
  if (name === undefined) throw notRegistered(settings)
  const invite = await readInvite(options)
  await raceAbort(client.register(name, invite), interruption.signal)
}

async function serve({ output, interruption }: Context, client: Client, options: Options): Promise<void> {
  const { serveMcp } = await import('../../mcp/serve.ts')
  const onError = (error: unknown) => {
    const { code, message } = toFailure(error)
    output.note({ event: 'failed', error: { code, message } }, message)
  }
  const http = options.http === undefined ? undefined : httpOptions(output, options.http, options.token)
  await serveMcp({ client, version: version(), onError, ...(http && { http }) }, interruption.signal)
}

function httpOptions(output: Output, port: number, token = randomBytes(32).toString('base64url')) {
  const onListening = (url: string) =>
    output.note({ event: 'mcp', url, token }, `MCP at ${url}, Authorization: Bearer ${token}`)
  return { port, token, onListening }
}

/** @throws {InvalidArgumentError} */
function parsePort(text: string): number {
  const port = Number(text)
  if (/^\d{1,5}$/.test(text) && port <= 65_535) return port
  throw new InvalidArgumentError('Use a port from 0 to 65535.')
}
