import { type Copy, unexcused } from './copies.ts'
import { type AuditEvent, type EventOf, type HistoryEvent, ofKind } from './events.ts'
import { LineReader } from './json-lines.ts'

/** Reads the histories of a run while they grow, and counts the messages that are not shown yet. */
export class HistoryReader {
  readonly #histories: LineReader<HistoryEvent>[]
  readonly #audits: LineReader<AuditEvent>[]
  readonly #history: HistoryEvent[] = []
  readonly #audit: AuditEvent[] = []
  readonly #shown = new Set<string>()
  /** The accepted messages that the recipient's application has not seen. */
  readonly #missing = new Map<string, EventOf<'ok'>>()
  #sent = 0

  constructor(histories: readonly string[], audits: readonly string[]) {
    this.#histories = histories.map(path => new LineReader(path))
    this.#audits = audits.map(path => new LineReader(path))
  }

  /** Reads the events written since the last call. */
  update(): void {
    for (const reader of this.#histories) {
      const events = reader.next()
      for (const event of events) this.#history.push(event)
      for (const { cid } of ofKind(events, 'recv')) {
        this.#shown.add(cid)
        this.#missing.delete(cid)
      }
      for (const event of ofKind(events, 'ok')) if (!this.#shown.has(event.cid)) this.#missing.set(event.cid, event)
      this.#sent += ofKind(events, 'invoke').length
    }
    for (const reader of this.#audits) for (const event of reader.next()) this.#audit.push(event)
  }

  get counts(): { sent: number; shown: number; missing: number } {
    return { sent: this.#sent, shown: this.#shown.size, missing: this.#missing.size }
  }

  /** The number of missing messages that no copy of a state excuses. */
  missingApartFrom(copies: readonly Copy[]): number {
    return unexcused([...this.#missing.values()], this.#history, copies).length
  }

  /** The events, sorted by time. */
  get history(): HistoryEvent[] {
    return this.#history.sort((a, b) => a.tm - b.tm)
  }

  get audit(): AuditEvent[] {
    return this.#audit.sort((a, b) => a.tm - b.tm)
  }
}
