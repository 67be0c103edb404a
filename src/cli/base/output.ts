import type { WriteStream } from 'node:tty'
import { encodeJsonLine, escapeLine, escapeLines } from '../../util/escape.ts'
import type { Failure } from './failure.ts'
import { type Paint, paintFor } from './paint.ts'

type Stream = NodeJS.WritableStream & Partial<Pick<WriteStream, 'isTTY' | 'columns'>>
/** Returns the lines of a result for a person. Text of other agents must be escaped in them. */
export type Draw = (paint: Paint, columns: number | undefined) => string[]

/** The reader of our output has closed it. The output was not written. */
export class OutputClosedError extends Error {
  override readonly name = 'OutputClosedError'
}

/** Quotes the words of a server, which is not trusted: they are never part of a text of this program. */
export const quoteServer = (words: string): string => `the server's own words: ${JSON.stringify(escapeLine(words))}`

/** Writes results to standard output, everything else to standard error. With `json`, each line is one JSON object. */
export class Output {
  readonly json: boolean
  /** True if the command reports the events of its client. */
  reportsEvents = false
  readonly #stdout: Stream
  readonly #stderr: Stream
  readonly #paint: Paint
  readonly #errorPaint: Paint

  constructor(json: boolean, { stdout, stderr }: { stdout: Stream; stderr: Stream } = process) {
    this.json = json
    this.#stdout = stdout
    this.#stderr = stderr
    this.#paint = paintFor(stdout)
    this.#errorPaint = paintFor(stderr)
  }

  /**
   * Writes one result. Resolves when the operating system has accepted it.
   * @throws {OutputClosedError} if the reader has closed the stream; other errors of the stream unchanged.
   */
  async print(value: object, draw: Draw): Promise<void> {
    const columns = this.#stdout.isTTY ? this.#stdout.columns : undefined
    await this.#write(this.json ? encodeJsonLine(value) : draw(this.#paint, columns).join('\n'))
  }

  /** Writes an event to standard error. */
  note(value: object, text: string): void {
    const line = this.json ? encodeJsonLine(value) : this.#errorPaint.dim(escapeLine(text))
    this.#stderr.write(`${line}\n`)
  }

  fail(failure: Failure): void {
    const { exit: _exit, ...error } = failure
    this.#stderr.write(this.json ? `${encodeJsonLine({ error })}\n` : this.#drawFailure(failure))
  }

  #drawFailure({ code, message, serverSaid }: Failure): string {
    const { red, dim } = this.#errorPaint
    const suffix = code === 'usage' ? '' : dim(` (${escapeLine(code)})`)
    const quoted = serverSaid === undefined ? '' : `  ${dim(quoteServer(serverSaid))}\n`
    return `${red('aimessage:')} ${escapeLines(message).join('\n')}${suffix}\n${quoted}`
  }

  #write(text: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#stdout.write(`${text}\n`, error => {
        if (!error) resolve()
        else reject(isClosed(error) ? new OutputClosedError(error.message) : error)
      })
    })
  }
}

const closedCodes = ['EPIPE', 'ECONNRESET', 'ERR_STREAM_DESTROYED']

const isClosed = (error: Error): boolean => 'code' in error && closedCodes.includes(String(error.code))
