import { type AuditEvent, type HistoryEvent, ofKind } from './events.ts'
import { LineReader } from './json-lines.ts'

/** The histories of a run while they grow, and what is still open in them. */
export class HistoryReader {
  readonly #histories: LineReader<HistoryEvent>[]
  readonly #audits: LineReader<AuditEvent>[]
  readonly #history: HistoryEvent[] = []
  readonly #audit: AuditEvent[] = []
  readonly #shown = new Set<string>()
  /** Accepted, and not shown to its recipient's application. */
  readonly #missing = new Set<string>()
  #sent = 0

  constructor(histories: readonly string[], audits: readonly string[]) {
    this.#histories = histories.map(path => new LineReader(path))
    this.#audits = audits.map(path => new LineReader(path))
  }

  /** Reads what was written since. */
  update(): void {
    for (const reader of this.#histories) {
      const events = reader.next()
      for (const event of events) this.#history.push(event)
      for (const { cid } of ofKind(events, 'recv')) {
        this.#shown.add(cid)
        this.#missing.delete(cid)
      }
      for (const { cid } of ofKind(events, 'ok')) if (!this.#shown.has(cid)) this.#missing.add(cid)
      this.#sent += ofKind(events, 'invoke').length
    }
    for (const reader of this.#audits) for (const event of reader.next()) this.#audit.push(event)
  }

  get counts(): { sent: number; shown: number; missing: number } {
    return { sent: this.#sent, shown: this.#shown.size, missing: this.#missing.size }
  }

  /** In the order of time. */
  get history(): HistoryEvent[] {
    return this.#history.sort((a, b) => a.tm - b.tm)
  }

  get audit(): AuditEvent[] {
    return this.#audit.sort((a, b) => a.tm - b.tm)
  }
}
