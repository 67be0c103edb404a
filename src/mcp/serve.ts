import { once } from 'node:events'
import { serveStdio } from '@modelcontextprotocol/server/stdio'
import type { Client } from '../client/public.ts'
import { raceAbort } from '../util/signal.ts'
import { McpSession } from './mcp-session.ts'
import { buildServer } from './server.ts'

export type ServeOptions = {
  client: Client
  version: string
  /** Serves over HTTP; without it, over standard input and output. */
  http?: { port: number; token: string; onListening: (url: string) => void }
  /** Called for errors outside of a tool call. */
  onError: (error: unknown) => void
}

/** Runs an MCP server for an agent until `signal` aborts or, over standard input, the host closes it. */
export async function serveMcp(options: ServeOptions, signal: AbortSignal): Promise<void> {
  const { client, version, http, onError } = options
  const session = new McpSession(client, onError)
  const build = () => buildServer(session, version)
  session.listen()
  try {
    if (http) await overHttp({ ...http, build, onError }, signal)
    else await overStdio(build, onError, signal)
  } finally {
    await session.close()
  }
}

type Build = () => ReturnType<typeof buildServer>

async function overStdio(build: Build, onError: (error: unknown) => void, signal: AbortSignal): Promise<void> {
  const ended = Promise.race([once(process.stdin, 'end'), once(process.stdin, 'close')])
  const server = serveStdio(build, { onerror: onError })
  try {
    await raceAbort(ended, signal).catch(() => {})
  } finally {
    await server.close()
  }
}

async function overHttp(
  { onListening, ...options }: NonNullable<ServeOptions['http']> & { build: Build; onError: (error: unknown) => void },
  signal: AbortSignal,
): Promise<void> {
  const { serveHttp } = await import('./http.ts')
  const server = await serveHttp(options)
  onListening(server.url)
  try {
    if (!signal.aborted) await once(signal, 'abort')
  } finally {
    await server.close()
  }
}
