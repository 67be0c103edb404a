import type { TSchema } from 'typebox'
import * as Type from 'typebox'
import { Check } from 'typebox/schema'
import { limits } from '../../protocol/limits.ts'
import { isDomain, isLoopback } from '../../protocol/names.ts'
import { parseRedisUrl } from '../store/redis/connection/redis-url.ts'
import { isNetwork } from './address-key.ts'
import { hashSecret } from './secrets.ts'

/** An environment variable: its schema, its default as text, and its description in `.env.example`. */
type Setting = { schema: TSchema; default: string; description: string }

const choice = (...names: string[]) => Type.Union(names.map(name => Type.Literal(name)))
const positive = (maximum: number) => Type.Integer({ minimum: 1, maximum })
/** 128 bits, even if the token is hexadecimal. */
const minAdminTokenChars = 32
const maxTtlS = 10 * 365 * 86_400

/** All settings of a node. A test compares `.env.example` with this table. */
export const settings = {
  PORT: {
    schema: Type.Integer({ minimum: 0, maximum: 65_535 }),
    default: '8080',
    description: 'Port for clients; 0 takes a free one.',
  },
  HOST: {
    schema: Type.String({ minLength: 1 }),
    default: '127.0.0.1',
    description: 'Address to listen on; 0.0.0.0 means every interface, behind a proxy with TLS.',
  },
  DOMAIN: {
    schema: Type.String(),
    default: 'localhost',
    description:
      'Name of this deployment in addresses (username@DOMAIN) and logins. Only a loopback HOST may keep the default.',
  },
  REDIS_URL: {
    schema: Type.String(),
    default: '',
    description:
      'Shared Redis: redis://host:6379, redis+sentinel://host:26379/mymaster, redis+cluster://host:6379; empty: memory.',
  },
  STORE: {
    schema: choice('', 'redis', 'memory'),
    default: '',
    description: 'Empty follows REDIS_URL. With NODE_ENV=production, set memory explicitly to use it.',
  },
  DURABILITY: {
    schema: choice('standard', 'strict'),
    default: 'standard',
    description: 'strict: a message is accepted once a replica of Redis also has it; needs min-replicas-to-write 1.',
  },
  REDIS_APPENDONLY: {
    schema: choice('required', 'optional'),
    default: 'required',
    description:
      'optional: accepts a Redis without an append-only file, which loses all mail since its last snapshot when it ends.',
  },
  LOG_LEVEL: {
    schema: choice('trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'),
    default: 'info',
    description: 'Lowest level that is logged; no level logs a body, a token or a frame.',
  },
  METRICS_PORT: {
    schema: Type.Union([Type.Literal(''), Type.Integer({ minimum: 0, maximum: 65_535 })]),
    default: '',
    description: 'Separate port for Prometheus metrics, on the same HOST, so that they can stay private; empty: off.',
  },
  REGISTRATION: {
    schema: choice('open', 'invite', 'closed'),
    default: 'open',
    description: 'Who may register a free name.',
  },
  LISTING: {
    schema: choice('open', 'closed'),
    default: 'open',
    description: 'closed: users cannot list or look up other users; they can still write to a name that they know.',
  },
  ADMIN_TOKEN: {
    schema: Type.String(),
    default: '',
    description:
      'Secret for /v1/admin, at least 32 characters, e.g. from openssl rand -base64 32; empty: administration is off.',
  },
  ALLOWED_ORIGINS: {
    schema: Type.String(),
    default: '',
    description:
      'Origins of web pages that may connect, comma-separated; empty: only DOMAIN, or the same loopback address.',
  },
  TRUST_PROXY: {
    schema: Type.String(),
    default: '',
    description: 'Proxies whose X-Forwarded-For is trusted, as comma-separated addresses or CIDRs.',
  },
  MAX_CONNECTIONS: {
    schema: positive(1_000_000),
    default: String(limits.maxConnections),
    description: 'Sockets of one node; the process needs a file descriptor for each, and 1000 more.',
  },
  MAX_CONNECTIONS_PER_ADDRESS: {
    schema: positive(1_000_000),
    default: String(limits.maxConnectionsPerAddress),
    description:
      'Sockets of one node from one address (IPv6: /64). Behind a proxy set TRUST_PROXY, or all share one address.',
  },
  MAX_CONNECTIONS_PER_USER: {
    schema: positive(1_000_000),
    default: String(limits.maxConnectionsPerUser),
    description: 'Sockets of one node that are logged in as one user.',
  },
  MAX_STRANGERS: {
    schema: positive(1_000_000),
    default: String(limits.maxStrangers),
    description: 'Sockets of one node that have not logged in; beyond it the node closes the oldest.',
  },
  UPGRADES_PER_S: {
    schema: positive(1_000_000),
    default: String(limits.upgradesPerS),
    description:
      'Upgrades, and logins on sockets, that a node admits a second; others wait up to 3 s, or get a time to retry.',
  },
  USER_FRAMES_PER_S: {
    schema: positive(1_000_000),
    default: String(limits.userFramesPerS),
    description: 'Frames a second of one user over all nodes; twice as many in a burst.',
  },
  USER_BYTES_PER_S: {
    schema: Type.Integer({ minimum: limits.maxFrameBytes, maximum: 1_073_741_824 }),
    default: String(limits.userBytesPerS),
    description:
      'Bytes a second of one user over all nodes; eight times as many in a burst, half of either to one recipient.',
  },
  PAIR_MESSAGES_PER_S: {
    schema: positive(1_000_000),
    default: String(limits.pairMessagesPerS),
    description: 'Messages a second from one user to one other over all nodes; twice as many in a burst.',
  },
  REGISTRATIONS_PER_HOUR: {
    schema: positive(1_000_000_000),
    default: String(limits.registrationsPerHour),
    description: 'Registrations from one address (IPv6: /64) over all nodes; as many in a burst.',
  },
  SESSION_TTL_S: {
    schema: positive(maxTtlS),
    default: String(limits.sessionTtlS),
    description: 'How long a token is valid.',
  },
  MESSAGE_TTL_S: {
    schema: positive(maxTtlS),
    default: String(limits.messageTtlS),
    description: 'How long an unacknowledged message is kept at most.',
  },
  DEDUPE_WINDOW_S: {
    schema: positive(86_400),
    default: String(limits.dedupeWindowS),
    description: 'How long a node recognizes a repeated send; costs memory for each message.',
  },
  INBOX_MAX_MESSAGES: {
    schema: positive(1_000_000),
    default: String(limits.inboxMaxMessages),
    description: 'Messages that one inbox holds before it is full.',
  },
  INBOX_MAX_BYTES: {
    schema: positive(1_073_741_824),
    default: String(limits.inboxMaxBytes),
    description: 'Bytes that one inbox holds before it is full.',
  },
  SENDER_MAX_BYTES: {
    schema: Type.Integer({ minimum: limits.maxBodyChars + limits.envelopeBytes, maximum: 1_099_511_627_776 }),
    default: String(limits.senderMaxBytes),
    description:
      'Bytes of unread mail of one sender in all inboxes; never more than a quarter of the free memory of Redis.',
  },
  ADDRESS_MAX_BYTES: {
    schema: Type.Integer({ minimum: limits.maxBodyChars + limits.envelopeBytes, maximum: 1_099_511_627_776 }),
    default: String(limits.addressMaxBytes),
    description:
      'Bytes of unread mail of all users that one address (IPv6: /48) registered; never more than the free memory.',
  },
} as const satisfies Record<string, Setting>

export type SettingName = keyof typeof settings
export type Durability = 'standard' | 'strict'
type AppendOnly = 'required' | 'optional'
type Listing = 'open' | 'closed'
type Registration = 'open' | 'invite' | 'closed'

/** The parsed configuration of a node. Times are in ms. */
export type Config = {
  port: number
  host: string
  domain: string
  store: { kind: 'memory' } | { kind: 'redis'; url: string; durability: Durability; appendOnly: AppendOnly }
  logLevel: string
  /** `null` turns metrics off. */
  metricsPort: number | null
  registration: Registration
  listing: Listing
  /** `null` turns the administration off. The token itself is not kept. */
  adminTokenHash: string | null
  allowedOrigins: readonly string[]
  trustProxy: readonly string[]
  maxConnections: number
  maxConnectionsPerAddress: number
  maxConnectionsPerUser: number
  maxStrangers: number
  upgradesPerS: number
  userFramesPerS: number
  userBytesPerS: number
  pairMessagesPerS: number
  registrationsPerHour: number
  sessionTtlMs: number
  messageTtlMs: number
  dedupeWindowMs: number
  inboxMaxMessages: number
  inboxMaxBytes: number
  senderMaxBytes: number
  addressMaxBytes: number
}

/**
 * A wrong configuration. The message is one line that starts with the variable. The process prints it and exits with 2.
 */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly variable: string

  constructor(variable: string, message: string) {
    super(`${variable} ${message}`)
    this.variable = variable
  }
}

/**
 * Returns the error of a port that cannot be opened, as a wrong setting that names the variable.
 * @param variable the variable of the port
 */
export function listenError(error: unknown, variable: 'PORT' | 'METRICS_PORT', { host, port }: Address): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'EADDRINUSE') return new ConfigError(variable, `${port} is in use on ${host} (EADDRINUSE)`)
  if (code === 'EACCES')
    return new ConfigError(variable, `${port} may not be opened by this user (EACCES): take a port over 1023`)
  if (code === 'EADDRNOTAVAIL' || code === 'EINVAL' || code === 'EAFNOSUPPORT')
    return new ConfigError('HOST', `${host} is no address of this machine (${code})`)
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return new ConfigError('HOST', `${host} has no address (${code})`)
  return error
}
type Address = { host: string; port: number }

/** Environment variables, as in `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>

/** Returns true if a variable is not left to its default. */
export const isSet = (name: SettingName, env: Environment = process.env): boolean => Boolean(env[name]?.trim())

/**
 * Reads the configuration. An empty variable counts as not set.
 * @throws {ConfigError}
 */
export function readConfig(env: Environment = process.env): Config {
  const text = (name: SettingName): string => checked(name, env[name]?.trim() || settings[name].default)
  const whole = (name: SettingName): number => Number(text(name))
  const host = text('HOST')
  const metricsPort = text('METRICS_PORT')
  if (Number(metricsPort) > 0 && metricsPort === text('PORT'))
    throw new ConfigError('METRICS_PORT', `must differ from PORT, and both are ${metricsPort}`)
  return {
    port: whole('PORT'),
    host,
    domain: readDomain(text('DOMAIN'), host),
    store: readStore(text, env.NODE_ENV === 'production'),
    logLevel: text('LOG_LEVEL'),
    metricsPort: metricsPort === '' ? null : Number(metricsPort),
    registration: readRegistration(text('REGISTRATION')),
    listing: text('LISTING') === 'closed' ? 'closed' : 'open',
    adminTokenHash: readAdminToken(text('ADMIN_TOKEN')),
    allowedOrigins: readOrigins(list(text('ALLOWED_ORIGINS'))),
    trustProxy: readProxies(list(text('TRUST_PROXY'))),
    maxConnections: whole('MAX_CONNECTIONS'),
    maxConnectionsPerAddress: whole('MAX_CONNECTIONS_PER_ADDRESS'),
    maxConnectionsPerUser: whole('MAX_CONNECTIONS_PER_USER'),
    maxStrangers: whole('MAX_STRANGERS'),
    upgradesPerS: whole('UPGRADES_PER_S'),
    userFramesPerS: whole('USER_FRAMES_PER_S'),
    userBytesPerS: whole('USER_BYTES_PER_S'),
    pairMessagesPerS: whole('PAIR_MESSAGES_PER_S'),
    registrationsPerHour: whole('REGISTRATIONS_PER_HOUR'),
    sessionTtlMs: whole('SESSION_TTL_S') * 1000,
    messageTtlMs: whole('MESSAGE_TTL_S') * 1000,
    dedupeWindowMs: whole('DEDUPE_WINDOW_S') * 1000,
    inboxMaxMessages: whole('INBOX_MAX_MESSAGES'),
    inboxMaxBytes: whole('INBOX_MAX_BYTES'),
    senderMaxBytes: whole('SENDER_MAX_BYTES'),
    addressMaxBytes: whole('ADDRESS_MAX_BYTES'),
  }
}

function checked(name: SettingName, text: string): string {
  const { schema } = settings[name]
  if (Check(schema, text) || (isWholeNumber(text) && Check(schema, Number(text)))) return text
  throw new ConfigError(name, `must be ${describe(schema)}, not ${JSON.stringify(text)}`)
}

const isWholeNumber = (text: string): boolean => /^\d{1,15}$/.test(text)

function describe(schema: TSchema & { anyOf?: TSchema[]; minimum?: number; maximum?: number; const?: string }): string {
  if (schema.anyOf) return schema.anyOf.map(describe).join(' or ')
  if (schema.const !== undefined) return schema.const || 'empty'
  return schema.minimum === undefined ? 'some text' : `a whole number from ${schema.minimum} to ${schema.maximum}`
}

const list = (text: string): string[] =>
  text
    .split(',')
    .map(part => part.trim())
    .filter(Boolean)

function readDomain(domain: string, host: string): string {
  if (!isDomain(domain))
    throw new ConfigError('DOMAIN', `must be a host name in lower case, not ${JSON.stringify(domain)}`)
  if (domain === settings.DOMAIN.default && !isLoopback(host)) {
    throw new ConfigError(
      'DOMAIN',
      `must name this deployment: "localhost" is allowed only with a loopback HOST, and HOST is ${host}`,
    )
  }
  return domain
}

function readStore(text: (name: SettingName) => string, production: boolean): Config['store'] {
  const [store, url] = [text('STORE'), text('REDIS_URL')]
  const durability = text('DURABILITY') === 'strict' ? 'strict' : 'standard'
  const appendOnly = text('REDIS_APPENDONLY') === 'optional' ? 'optional' : 'required'
  if (url && store !== 'memory') return { kind: 'redis', url: readRedisUrl(url), durability, appendOnly }
  if (durability === 'strict') throw new ConfigError('DURABILITY', 'strict needs Redis: set REDIS_URL')
  if (store === 'memory') return { kind: 'memory' }
  if (store === 'redis') throw new ConfigError('REDIS_URL', 'must be set if STORE is redis')
  if (production)
    throw new ConfigError('REDIS_URL', 'must be set with NODE_ENV=production, or set STORE=memory explicitly')
  return { kind: 'memory' }
}

function readRedisUrl(url: string): string {
  if (parseRedisUrl(url)) return url
  throw new ConfigError(
    'REDIS_URL',
    'must be redis://host:port or rediss://host:port, with /0 to /9999 for a database, ' +
      'redis+sentinel://host:port[,host:port]/name-of-the-primary, or redis+cluster://host:port[,host:port]',
  )
}

function readRegistration(text: string): Registration {
  return text === 'invite' || text === 'closed' ? text : 'open'
}

/** The error must not contain the token. */
function readAdminToken(token: string): string | null {
  if (token === '') return null
  if (/^\S+$/.test(token) && token.length >= minAdminTokenChars) return hashSecret(token)
  throw new ConfigError(
    'ADMIN_TOKEN',
    `must have ${minAdminTokenChars} characters or more and no spaces; create one with: openssl rand -base64 32`,
  )
}

function readOrigins(origins: string[]): string[] {
  for (const origin of origins) {
    if (!URL.canParse(origin) || new URL(origin).origin !== origin) {
      throw new ConfigError(
        'ALLOWED_ORIGINS',
        `must list origins like https://agents.example, not ${JSON.stringify(origin)}`,
      )
    }
  }
  return origins
}

function readProxies(proxies: string[]): string[] {
  for (const proxy of proxies) {
    if (!isNetwork(proxy)) {
      throw new ConfigError(
        'TRUST_PROXY',
        `must list addresses or CIDRs with a prefix length of 1 or more, not ${JSON.stringify(proxy)}`,
      )
    }
  }
  return proxies
}
