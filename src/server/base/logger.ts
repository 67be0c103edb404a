import { type DestinationStream, type Logger, pino } from 'pino'

export type { Logger } from 'pino'

/** Names under which a secret or a frame could get into a log by mistake. */
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

/** An error without what libraries hang on it: ioredis adds the command and its arguments. */
function describeError(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { message: String(error) }
  const code = 'code' in error && typeof error.code === 'string' ? { code: error.code } : {}
  return { type: error.name, message: error.message, stack: error.stack, ...code }
}

/** The route, not the URL: a query may hold what a client should not have put there. */
const describeRequest = (request: { method?: string; routeOptions?: { url?: string }; ip?: string }) => ({
  method: request.method,
  route: request.routeOptions?.url,
  ip: request.ip,
})

/** Sets pino up; the only place that does. */
export function openLogger(level: string, destination?: DestinationStream): Logger {
  const options = {
    level,
    redact: { paths: redact, censor: '[redacted]' },
    serializers: { err: describeError, error: describeError, req: describeRequest },
  }
  return destination ? pino(options, destination) : pino(options)
}
