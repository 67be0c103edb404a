import { connect } from 'node:net'
import { parseRedisUrl } from './redis-url.ts'
import { withoutArguments } from './store-error.ts'

/** The longest wait for what a server says by itself, ms. */
const greetingMs = 1_000
const maxCauseChars = 200
/** A refusal of commands is reported again after this time without one, ms. */
const quietMs = 60_000
/** Refusals that concern every user. `READONLY` and the like are part of a failover, which ends by itself. */
const refusal = /^(OOM|MISCONF|NOREPLICAS|NOPERM|LOADING|NOAUTH)\b/

/** Reports why Redis cannot be used: once for each outage, and once more if Redis itself gives a reason later. */
export class OutageLog {
  readonly #url: string
  readonly #report: (message: string) => void
  readonly #now: () => number
  #reported: 'nothing' | 'connection' | 'reply' = 'nothing'
  /** When each refusal was last seen, ms. */
  readonly #refusals = new Map<string, number>()

  constructor(url: string, report: (message: string) => void, now: () => number = () => performance.now()) {
    this.#url = url
    this.#report = report
    this.#now = now
  }

  /** A connection failed. */
  failed(error: unknown): void {
    const kind = isReply(error) ? 'reply' : 'connection'
    if (this.#reported === 'reply' || this.#reported === kind) return
    this.#reported = kind
    void causeOf(error, this.#url).then(cause => this.#report(`Redis cannot be used: ${cause}`))
  }

  /** Redis refused a command. */
  refused(error: unknown): void {
    const code = error instanceof Error ? refusal.exec(error.message)?.[1] : undefined
    if (code === undefined) return
    const last = this.#refusals.get(code)
    this.#refusals.set(code, this.#now())
    if (last === undefined || this.#now() - last > quietMs)
      this.#report(`Redis refuses ${code === 'OOM' ? 'writes, because it is full' : 'commands'}: ${textOf(error)}`)
  }

  /** Redis can be used again: the next failure is a new outage. */
  over(): void {
    this.#reported = 'nothing'
  }
}

/**
 * Returns why a connection failed, in one line without secrets. A server that takes no more clients says so and closes;
 * the client may see only the end, so this asks once more.
 */
export async function causeOf(error: unknown, url: string): Promise<string> {
  const text = textOf(error)
  if (isReply(error)) return text
  const said = /EPIPE|ECONNRESET|Connection is closed/.test(text) ? await greeting(url) : ''
  if (said !== '') return said
  const isTls = url.startsWith('rediss')
  return isTls && /ETIMEDOUT|ECONNRESET|closed|SSL|EPROTO/.test(text) ? `${text} (does this port speak TLS?)` : text
}

const isReply = (error: unknown): boolean => error instanceof Error && error.name === 'ReplyError'

/** An `AggregateError` of several addresses has a code, and no text. */
function textOf(error: unknown): string {
  const { message } = error instanceof Error ? error : new Error(String(error))
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
  return withoutArguments(message || code).slice(0, maxCauseChars)
}

/** Returns the error that a server without TLS sends to a new connection by itself, or nothing. */
function greeting(url: string): Promise<string> {
  const target = parseRedisUrl(url)
  if (target?.kind !== 'server' || url.startsWith('rediss')) return Promise.resolve('')
  const { hostname, port } = new URL(target.url)
  const socket = connect({ host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || 6_379), timeout: greetingMs })
  return new Promise(resolve => {
    const done = (said: string) => {
      socket.destroy()
      resolve(said)
    }
    socket.once('data', data =>
      done(/^-(?<said>[^\r\n]*)/.exec(data.toString('latin1').slice(0, 300))?.groups?.said ?? ''),
    )
    for (const end of ['error', 'timeout', 'close']) socket.once(end, () => done(''))
  })
}
