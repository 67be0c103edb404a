import { once } from 'node:events'
import { serveStdio } from '@modelcontextprotocol/server/stdio'
import type { Client } from '../client/public.ts'
import { raceAbort } from '../util/signal.ts'
import { Desk } from './mcp-session.ts'
import { buildServer } from './server.ts'

export type ServeOptions = {
  client: Client
  version: string
  /** Where to listen; on standard input and output when absent. */
  http?: { port: number; token: string; onListening: (url: string) => void }
  /** Told what went wrong outside of any call. */
  onError: (error: unknown) => void
}

/** Is an MCP server for an agent until `signal` aborts or, over standard input, the host closes it. */
export async function serveMcp(options: ServeOptions, signal: AbortSignal): Promise<void> {
  const { client, version, http, onError } = options
  const desk = new Desk(client, onError)
  const build = () => buildServer(desk, version)
  desk.attend()
  try {
    if (http) await overHttp({ ...http, build, onError }, signal)
    else await overStdio(build, onError, signal)
  } finally {
    await desk.close()
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
