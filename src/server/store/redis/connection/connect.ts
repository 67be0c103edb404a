import { Cluster, type ClusterOptions, Redis, type RedisOptions } from 'ioredis'
import { StoreUnavailableError } from '../../store.ts'
import { RedisSetupError } from './check-server.ts'
import { corkCommands } from './cork-commands.ts'
import { causeOf } from './outage-log.ts'
import { endClient, isCluster, type RedisClient } from './redis-client.ts'
import { parseRedisUrl, type RedisTarget } from './redis-url.ts'
import { ShardedSubscription } from './sharded-subscription.ts'
import { ServerSubscription, type Subscription } from './subscription.ts'

/** Timeout of a command, ms. After it, the outcome of the command is unknown. */
export const commandTimeoutMs = 3_000
const connectTimeoutMs = 3_000
/**
 * A connection with a waiting command that receives nothing for this long is replaced, ms. An idle connection is not.
 */
const silenceMs = 2_500
/** Upper bound of the delay between reconnects, which grows from zero, ms. */
const maxRetryMs = 1_000
/** Timeout of the first connection, including attempts on Sentinels that do not answer, ms. */
const startMs = 10_000
/** Interval at which the client reads the Cluster's slots: the delay until it notices a silent failover, ms. */
const slotsRefreshMs = 2_000

const retryMs = (times: number): number => Math.random() * Math.min(maxRetryMs, 20 * 2 ** Math.min(times, 10))

/**
 * No command waits for a connection, and none is sent twice: the outcome is unknown, and the caller decides about a
 * retry. Reconnects use full jitter, so that the nodes do not all come back at the same moment.
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
  // The primary became a replica: connect to the new primary.
  reconnectOnError: (error: Error) => error.message.startsWith('READONLY'),
} satisfies RedisOptions

type OnError = (error: Error) => void
type ClusterTarget = Extract<RedisTarget, { kind: 'cluster' }>

/** Opens the client for commands; resolves when it is ready. @throws {StoreUnavailableError} {RedisSetupError} */
export async function connectClient(url: string, name: string, onError: OnError): Promise<RedisClient> {
  const target = parseRedisUrl(url)
  return target?.kind === 'cluster' ? ready(openCluster(target, name), url, onError) : connect(url, name, onError)
}

/** Opens the subscription's connection; it is not subscribed yet. @throws {StoreUnavailableError} */
export async function connectSubscription(
  commands: RedisClient,
  url: string,
  name: string,
  onError: OnError,
): Promise<Subscription> {
  if (!isCluster(commands)) return new ServerSubscription(await connect(url, name, onError))
  // `ShardedSubscription` replaces a connection that ends, so the connection itself must not retry.
  const target = parseRedisUrl(url)
  const access = target?.kind === 'cluster' ? accessOf(target) : {}
  const ofServer = { ...options, ...access, connectionName: name, retryStrategy: () => null } satisfies RedisOptions
  return new ShardedSubscription(commands, address => new Redis({ ...ofServer, ...address }))
}

/** Opens one connection; resolves when it is ready. @throws {StoreUnavailableError} */
export async function connect(url: string, name: string, onError: OnError): Promise<Redis> {
  return ready(openClient(parseRedisUrl(url), name), url, onError)
}

async function ready<Client extends RedisClient>(client: Client, url: string, onError: OnError): Promise<Client> {
  let cause: Error | undefined
  client.on('error', (error: Error) => {
    const latest = lastOf(error)
    // Errors of the client that follow a reply say less.
    if (cause?.name !== 'ReplyError') cause = latest
    onError(latest)
    // Without its database the client would use database 0, and mix the data of two deployments.
    if (isOfSelect(latest) && !isCluster(client)) client.disconnect(true)
  })
  if (!isCluster(client)) corkCommands(client)
  const late = setTimeout(() => endClient(client), startMs)
  try {
    await client.connect()
    return client
  } catch (error) {
    endClient(client)
    throw unusable(cause ?? error, await causeOf(cause ?? error, url))
  } finally {
    clearTimeout(late)
  }
}

/** A Cluster reports that no server answered; this is the error of the last one. */
const lastOf = (error: Error): Error =>
  'lastNodeError' in error && error.lastNodeError instanceof Error ? error.lastNodeError : error

const isOfSelect = (error: unknown): boolean =>
  error instanceof Error && 'command' in error && (error.command as { name?: string } | undefined)?.name === 'select'

/** A wrong password, user or database is a wrong setting; anything else may pass. */
function unusable(error: unknown, cause: string): Error {
  if (isOfSelect(error)) {
    return new RedisSetupError(
      `REDIS_URL names a database that cannot be selected: ${cause}; use another number, or allow the user +select`,
    )
  }
  if (/^(WRONGPASS|NOAUTH|NOPERM)\b/.test(cause))
    return new RedisSetupError(`REDIS_URL: Redis refuses the node: ${cause}`)
  return new StoreUnavailableError(`REDIS_URL: Redis is out of reach: ${cause}`)
}

/**
 * The client follows redirections, because a redirected command did not run. It does not resend commands of a cut
 * connection.
 */
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
  if (target === null || target.kind === 'cluster') throw new TypeError('not the URL of a single Redis')
  if (target.kind === 'server') return new Redis(target.url, { ...options, connectionName: name })
  return new Redis({ ...options, ...sentinelOptions(target), connectionName: name })
}

/**
 * The client asks the Sentinels for the primary at each connection attempt. A failover that they announce ends the
 * connection to the old primary, even if that is silent.
 */
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
