import type { Logger } from './logger.ts'

/** What an operator did, or tried to. Never a secret: `target` is a name that was recognised as one. */
type Act = { act: string; ip: string; request: string; target?: string; status: number }

/** Where acts are written: one line each, at whatever level the node logs, unless it is silent. */
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
