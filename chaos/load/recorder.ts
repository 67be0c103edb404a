import { monotonicMs } from '../clock.ts'
import type { AppEvent, HistoryEvent, WireEvent } from '../history/events.ts'
import type { LineWriter } from '../history/json-lines.ts'

/** Records the events of one agent. Its connection names are unique within the process. */
export class Recorder {
  readonly #writer: LineWriter<HistoryEvent>
  readonly #client: string
  readonly inc: number
  #connections = 0

  constructor(writer: LineWriter<HistoryEvent>, client: string, inc: number) {
    this.#writer = writer
    this.#client = client
    this.inc = inc
  }

  note(event: AppEvent | WireEvent): void {
    this.#writer.write({ tm: monotonicMs(), client: this.#client, inc: this.inc, ...event })
  }

  nextConnection(): string {
    this.#connections += 1
    return this.lastConnection
  }

  get lastConnection(): string {
    return `${this.inc}.${this.#connections}`
  }
}
