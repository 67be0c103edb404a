import { type DestinationStream, type Logger, pino } from 'pino'

export type { Logger } from 'pino'

/** Field names under which a secret or a frame could enter a log by mistake. */
const secretNames = [
  'token',
  'authorization',
  'signature',
  'nonce',
  'invite',
  'body',
  'headers',
  'args',
  'password',
  'passphrase',
  'secret',
  'cookie',
]
const redact = secretNames.flatMap(name => [name, `*.${name}`, `*.*.${name}`])

/** Drops the extra properties that libraries add to errors: ioredis adds the command and its arguments. */
function describeError(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { message: String(error) }
  const code = 'code' in error && typeof error.code === 'string' ? { code: error.code } : {}
  return { type: error.name, message: error.message, stack: error.stack, ...code }
}

/** Logs the route instead of the URL: a client may have put a secret into the query. */
const describeRequest = (request: { method?: string; routeOptions?: { url?: string }; ip?: string }) => ({
  method: request.method,
  route: request.routeOptions?.url,
  ip: request.ip,
})

/** Creates the logger of a process. The only place that configures pino. */
export function openLogger(level: string, destination?: DestinationStream): Logger {
  const options = {
    level,
    redact: { paths: redact, censor: '[redacted]' },
    serializers: { err: describeError, error: describeError, req: describeRequest },
  }
  return destination ? pino(options, destination) : pino(options)
}
