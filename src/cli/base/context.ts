import { stat } from 'node:fs/promises'
import type { Command } from 'commander'
import { NotRegisteredError } from '../../client/base/errors.ts'
import type { Client } from '../../client/node.ts'
import { defer } from '../../util/deferred.ts'
import { raceAbort } from '../../util/signal.ts'
import { CliError } from './failure.ts'
import type { Interruption } from './interruption.ts'
import { defaultAgent, type Settings } from './options.ts'
import type { Output } from './output.ts'

/** What a command works with. */
export type Context = {
  settings: Settings
  output: Output
  interruption: Interruption
}

/** Runs what a command does, with what the command line says. */
export type Start = (command: Command, work: (context: Context) => Promise<void>) => Promise<void>

type Work<T> = (client: Client) => Promise<T>

/**
 * Opens the agent, works, and closes it again. `work` heeds the interruption.
 * @throws {CliError} `not_registered` where there is no state; none is made.
 */
export async function withAgent<T>({ settings }: Context, work: Work<T>): Promise<T> {
  await requireState(settings)
  return withNewAgent(settings, work).catch(error => {
    throw error instanceof NotRegisteredError ? notRegistered(settings) : error
  })
}

/** The same; makes the state where there is none. */
export async function withNewAgent<T>(settings: Settings, work: Work<T>): Promise<T> {
  const client = await openAgent(settings)
  try {
    return await work(client)
  } finally {
    await client.close()
  }
}

/**
 * With a server that answers: out of reach is known at once, and again when the connection breaks and the next attempt
 * fails, too. Of itself a client would go on trying.
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
    // Anything else is for the store to say.
    return error.code === 'ENOENT' ? undefined : error
  })
  if (found === undefined) throw notRegistered(settings)
}

/** Says which agent, and how it gets a name. */
export const notRegistered = ({ agent, directory }: Settings): CliError => {
  const option = agent === defaultAgent ? '' : ` --agent ${agent}`
  const message = `agent "${agent}" has no name yet (${directory}): run "aimessage register NAME${option}" first`
  return new CliError('state', 'not_registered', message)
}
