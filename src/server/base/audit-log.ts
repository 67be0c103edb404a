import type { Logger } from './logger.ts'

/** A call of the operator's routes, successful or not. `target` is a recognised name or id, never a secret. */
type Act = { act: string; ip: string; request: string; target?: string; status: number }

/** Logs one line for each act, at every log level except `silent`. */
export class AuditLog {
  readonly #log: Logger

  constructor(log: Logger) {
    this.#log = log.child({ audit: true }, { level: log.level === 'silent' ? 'silent' : 'info' })
  }

  note({ status, ...act }: Act): void {
    const outcome = status < 400 ? 'done' : 'refused'
    this.#log.info({ by: 'operator', ...act, outcome, status }, 'administration')
  }
}
