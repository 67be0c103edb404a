import { escapeLine } from '../../util/escape.ts'
import type { Logger } from './logger.ts'

/** The most origins that a node logs. Any page can send requests from its origin. */
const maxOrigins = 100
/** The most characters of an origin in the log. */
const maxChars = 200

/** Logs each origin whose pages a node refuses, once. The page itself cannot learn the reason from its browser. */
export class RefusedOrigins {
  readonly #log: Logger
  readonly #noted = new Set<string>()

  constructor(log: Logger) {
    this.#log = log
  }

  note(origin = ''): void {
    if (this.#noted.size >= maxOrigins) return
    const shown = escapeLine(origin.slice(0, maxChars))
    if (this.#noted.has(shown)) return
    this.#noted.add(shown)
    this.#log.warn({ origin: shown }, 'pages of this origin are refused; to allow them, add it to ALLOWED_ORIGINS')
    if (this.#noted.size === maxOrigins) this.#log.warn({ origins: maxOrigins }, 'no more refused origins are logged')
  }
}
