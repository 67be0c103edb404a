import { randomBytes } from 'node:crypto'
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { Client } from '../../client/node.ts'
import { raceAbort } from '../../util/signal.ts'
import { type Context, notRegistered, type Start, withNewAgent } from '../base/context.ts'
import { toFailure, usageError } from '../base/failure.ts'
import type { Output } from '../base/output.ts'
import { version } from '../base/version.ts'
import { addInviteOptions, type InviteOptions, readInvite } from '../input/invite.ts'
import { reportEvents } from '../text/event-report.ts'

type Options = InviteOptions & { http?: number; token?: string; name?: string }

/** A secret that is guessed over HTTP: shorter ones are somebody's habit. */
const minTokenChars = 16

export function addMcp(program: Command, start: Start): void {
  const command = program
    .command('mcp')
    .description('be an MCP server for this agent, on standard input and output')
    .option('--name <name>', 'register under this name where the agent has none yet')
  addInviteOptions(command, 'a file that has it')
    .option('--http <port>', 'Streamable HTTP on 127.0.0.1 instead; 0 takes a free port', parsePort)
    .addOption(
      new Option('--token <secret>', 'what callers over HTTP must know (default: a new one, shown at the start)').env(
        'AIMESSAGE_MCP_TOKEN',
      ),
    )
    .addHelpText('after', '\nSettings for Claude Code, Codex and Cursor are in docs/AGENTS.md.')
    .action((options: Options, self: Command) => start(self, context => mcp(context, options)))
}

async function mcp(context: Context, options: Options): Promise<void> {
  const { settings, output, interruption } = context
  if (options.token !== undefined && options.token.length < minTokenChars) {
    throw usageError(`--token has at least ${minTokenChars} characters`)
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
  // Only here: no other command needs any of it.
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
