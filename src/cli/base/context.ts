import { stat } from 'node:fs/promises'
import type { Command } from 'commander'
import { NotRegisteredError } from '../../client/base/errors.ts'
import type { Client } from '../../client/node.ts'
import { defer } from '../../util/deferred.ts'
import { raceAbort } from '../../util/signal.ts'
import { CliError } from './failure.ts'
import type { Interruption } from './interruption.ts'
import { copiedAgain, olderCopyText } from './older-copy.ts'
import { defaultAgent, type Settings } from './options.ts'
import type { Output } from './output.ts'

/** The settings and the input and output of one command. */
export type Context = {
  settings: Settings
  output: Output
  interruption: Interruption
  /** Fails the command after its result was printed. */
  problem?: CliError
}

/** Runs the work of a command with the options of the command line. */
export type Start = (command: Command, work: (context: Context) => Promise<void>) => Promise<void>

type Work<T> = (client: Client) => Promise<T>

/**
 * Opens the agent, runs `work`, and closes the agent. `work` itself must react to the interruption.
 * @throws {CliError} `not_registered` if there is no state. None is created.
 */
export async function withAgent<T>(context: Context, work: Work<T>): Promise<T> {
  const { settings } = context
  await requireState(settings)
  const reporting: Work<T> = client => {
    reportOlderCopy(client, context)
    return work(client)
  }
  return withNewAgent(settings, reporting).catch(error => {
    throw error instanceof NotRegisteredError ? notRegistered(settings) : error
  })
}

/** Says on standard error that the state was an older copy, in every command: also where nothing else is reported. */
export function reportOlderCopy(client: Client, context: Context): void {
  client.on('restored', restored => {
    const { output } = context
    if (!output.reportsEvents) output.note({ event: 'restored', ...restored }, olderCopyText(restored))
    if (restored.again) context.problem = copiedAgain()
  })
}

/** Like `withAgent`, but creates the state if there is none. */
export async function withNewAgent<T>(settings: Settings, work: Work<T>): Promise<T> {
  const client = await openAgent(settings)
  try {
    return await work(client)
  } finally {
    await client.close()
  }
}

/**
 * Like `withAgent`, but connects first. It fails if the server is unreachable, and if the connection breaks and the
 * next attempt fails; a client on its own would keep trying.
 */
export const withConnectedAgent = <T>(context: Context, work: Work<T>): Promise<T> =>
  withAgent(context, async client => {
    const { signal } = context.interruption
    await raceAbort(client.connect(), signal)
    const lost = defer<never>()
    const stop = client.on('reconnecting', ({ error }) => lost.reject(error))
    try {
      return await raceAbort(Promise.race([work(client), lost.promise]), signal)
    } finally {
      stop()
    }
  })

async function openAgent({ server, domain, caFile, directory, secret }: Settings): Promise<Client> {
  const { openClient, openDirectoryStore } = await import('../../client/node.ts')
  const store = await openDirectoryStore(directory, secret ? { secret } : {})
  try {
    return await openClient({
      server,
      store,
      ...(domain !== undefined && { domain }),
      ...(caFile !== undefined && { caFile }),
    })
  } catch (error) {
    await store.close()
    throw error
  }
}

/** @throws {CliError} `not_registered` if there is no state. */
export async function requireState(settings: Settings): Promise<void> {
  const found = await stat(settings.directory).catch(error => {
    // The store reports any other error.
    return error.code === 'ENOENT' ? undefined : error
  })
  if (found === undefined) throw notRegistered(settings)
}

/** The error for an agent without a name. Its text says how to register one. */
export const notRegistered = ({ agent, directory }: Settings): CliError => {
  const option = agent === defaultAgent ? '' : ` --agent ${agent}`
  const message = `agent "${agent}" has no name yet (${directory}): run "aimessage register NAME${option}" first`
  return new CliError('state', 'not_registered', message)
}
