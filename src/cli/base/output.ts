import type { WriteStream } from 'node:tty'
import { encodeJsonLine, escapeLine, escapeLines } from '../../util/escape.ts'
import { type Paint, paintFor } from '../text/paint.ts'
import type { Failure } from './failure.ts'

type Stream = NodeJS.WritableStream & Partial<Pick<WriteStream, 'isTTY' | 'columns'>>
/** How a result looks to a person. Text of somebody else must have gone through `escape`. */
export type Draw = (paint: Paint, columns: number | undefined) => string[]

/** Whoever read our output has gone. What was to be written did not arrive. */
export class OutputClosedError extends Error {
  override readonly name = 'OutputClosedError'
}

/** Results on standard output; everything else on standard error. With `json` both are one JSON object a line. */
export class Output {
  readonly json: boolean
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
   * Writes one result. Resolves when the system has taken it.
   * @throws {OutputClosedError} when nobody reads any more; other errors of the stream as they are.
   */
  async print(value: object, draw: Draw): Promise<void> {
    const columns = this.#stdout.isTTY ? this.#stdout.columns : undefined
    await this.#write(this.json ? encodeJsonLine(value) : draw(this.#paint, columns).join('\n'))
  }

  /** Something that an operator may want to know. */
  note(value: object, text: string): void {
    const line = this.json ? encodeJsonLine(value) : this.#errorPaint.dim(escapeLine(text))
    this.#stderr.write(`${line}\n`)
  }

  fail({ code, message, retryAfter }: Failure): void {
    const error = { code, message, ...(retryAfter !== undefined && { retryAfter }) }
    this.#stderr.write(this.json ? `${encodeJsonLine({ error })}\n` : this.#drawFailure(code, message))
  }

  #drawFailure(code: string, message: string): string {
    const { red, dim } = this.#errorPaint
    const suffix = code === 'usage' ? '' : dim(` (${escapeLine(code)})`)
    return `${red('aimessage:')} ${escapeLines(message).join('\n')}${suffix}\n`
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
