import { Redis, type RedisOptions } from 'ioredis'
import { StoreUnavailableError } from '../store.ts'

/** A command that has no answer by then may have run or not, ms. */
const commandTimeoutMs = 3_000
const connectTimeoutMs = 3_000
/** Reconnects: at once, then slower, never slower than this, ms. */
const maxRetryMs = 1_000

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
  retryStrategy: (times: number) => Math.random() * Math.min(maxRetryMs, 20 * 2 ** Math.min(times, 10)),
  // A primary that became a replica: the connection has to go to the new one.
  reconnectOnError: (error: Error) => error.message.startsWith('READONLY'),
} satisfies RedisOptions

/** One connection, once it is ready. @throws {StoreUnavailableError} */
export async function connect(url: string, name: string, onError: (error: Error) => void): Promise<Redis> {
  const redis = new Redis(url, { ...options, connectionName: name })
  redis.on('error', onError)
  try {
    await redis.connect()
    return redis
  } catch {
    redis.disconnect()
    throw new StoreUnavailableError('Redis is out of reach')
  }
}
