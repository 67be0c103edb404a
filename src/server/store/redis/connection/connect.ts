import { Cluster, type ClusterOptions, Redis, type RedisOptions } from 'ioredis'
import { StoreUnavailableError } from '../../store.ts'
import { corkCommands } from './cork-commands.ts'
import { isCluster, type RedisClient } from './redis-client.ts'
import { parseRedisUrl, type RedisTarget } from './redis-url.ts'
import { ShardedSubscription } from './sharded-subscription.ts'
import { ServerSubscription, type Subscription } from './subscription.ts'

/** A command that has no answer by then may have run or not, ms. */
export const commandTimeoutMs = 3_000
const connectTimeoutMs = 3_000
/** A connection on which a command waits, and nothing comes for so long, is replaced, ms. One that is idle, or a subscription that has its PING, is not. */
const silenceMs = 2_500
/** Reconnects: at once, then slower, never slower than this, ms. */
const maxRetryMs = 1_000
/** How long a start waits, Sentinels that do not answer included, ms. */
const startMs = 10_000
/** How long a node may not know that a replica took over from a primary that fell silent, ms. */
const slotsRefreshMs = 2_000

const retryMs = (times: number): number => Math.random() * Math.min(maxRetryMs, 20 * 2 ** Math.min(times, 10))

/**
 * No command waits for a connection and none is sent twice: whether it ran is not known, and the caller decides. Full jitter
 * on reconnects, so that nodes do not come back together.
 */
const options = {
  lazyConnect: true,
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  autoResubscribe: false,
  maxRetriesPerRequest: 0,
  commandTimeout: commandTimeoutMs,
  connectTimeout: connectTimeoutMs,
  socketTimeout: silenceMs,
  retryStrategy: retryMs,
  // A primary that became a replica: the connection has to go to the new one.
  reconnectOnError: (error: Error) => error.message.startsWith('READONLY'),
} satisfies RedisOptions

type OnError = (error: Error) => void
type ClusterTarget = Extract<RedisTarget, { kind: 'cluster' }>

/** What takes commands, once it is ready. @throws {StoreUnavailableError} */
export async function connectClient(url: string, name: string, onError: OnError): Promise<RedisClient> {
  const target = parseRedisUrl(url)
  return target?.kind === 'cluster' ? ready(openCluster(target, name), onError) : connect(url, name, onError)
}

/** What hears; not yet subscribed. @throws {StoreUnavailableError} */
export async function connectSubscription(
  commands: RedisClient,
  url: string,
  name: string,
  onError: OnError,
): Promise<Subscription> {
  if (!isCluster(commands)) return new ServerSubscription(await connect(url, name, onError))
  // It is replaced where it ends.
  const target = parseRedisUrl(url)
  const access = target?.kind === 'cluster' ? accessOf(target) : {}
  const ofServer = { ...options, ...access, connectionName: name, retryStrategy: () => null } satisfies RedisOptions
  return new ShardedSubscription(commands, address => new Redis({ ...ofServer, ...address }))
}

/** One connection, once it is ready. @throws {StoreUnavailableError} */
export async function connect(url: string, name: string, onError: OnError): Promise<Redis> {
  return ready(openClient(parseRedisUrl(url), name), onError)
}

async function ready<Client extends RedisClient>(client: Client, onError: OnError): Promise<Client> {
  client.on('error', onError)
  if (!isCluster(client)) corkCommands(client)
  const late = setTimeout(() => client.disconnect(), startMs)
  try {
    await client.connect()
    return client
  } catch {
    client.disconnect()
    throw new StoreUnavailableError('Redis is out of reach')
  } finally {
    clearTimeout(late)
  }
}

/** Redirections are followed: what is redirected did not run. What a cut connection leaves open is not sent again. */
function openCluster(target: ClusterTarget, name: string): Cluster {
  const { autoResendUnfulfilledCommands, autoResubscribe, maxRetriesPerRequest } = options
  const { commandTimeout, connectTimeout, socketTimeout } = options
  return new Cluster(target.servers, {
    lazyConnect: true,
    enableOfflineQueue: false,
    retryDelayOnFailover: 0,
    clusterRetryStrategy: retryMs,
    slotsRefreshTimeout: connectTimeoutMs,
    slotsRefreshInterval: slotsRefreshMs,
    redisOptions: {
      autoResendUnfulfilledCommands,
      autoResubscribe,
      maxRetriesPerRequest,
      commandTimeout,
      connectTimeout,
      socketTimeout,
      connectionName: name,
      ...accessOf(target),
    },
  } satisfies ClusterOptions)
}

const accessOf = ({ tls, username, password }: ClusterTarget) => ({
  ...(username !== null && { username }),
  ...(password !== null && { password }),
  ...(tls && { tls: {} }),
})

function openClient(target: RedisTarget | null, name: string): Redis {
  if (target === null || target.kind === 'cluster') throw new TypeError('not the URL of one Redis')
  if (target.kind === 'server') return new Redis(target.url, { ...options, connectionName: name })
  return new Redis({ ...options, ...sentinelOptions(target), connectionName: name })
}

/** The Sentinels are asked at each connection, for ever; what they announce ends a connection to who was primary, should that one be silent. */
function sentinelOptions(target: Extract<RedisTarget, { kind: 'sentinel' }>) {
  const { sentinels, primary, tls, db, username, password, sentinelUsername, sentinelPassword } = target
  return {
    sentinels,
    name: primary,
    db,
    failoverDetector: true,
    sentinelRetryStrategy: retryMs,
    sentinelReconnectStrategy: retryMs,
    sentinelCommandTimeout: commandTimeoutMs,
    ...(username !== null && { username }),
    ...(password !== null && { password }),
    ...(sentinelUsername !== null && { sentinelUsername }),
    ...(sentinelPassword !== null && { sentinelPassword }),
    ...(tls && { tls: {}, sentinelTLS: {}, enableTLSForSentinelMode: true }),
  } satisfies RedisOptions
}
