import { closeSync, openSync, readSync, writeSync } from 'node:fs'

/** Writes a file of JSON lines that survives a kill of the process: `write` returns after the system call. */
export class LineWriter<Line> {
  readonly #file: number

  constructor(path: string) {
    this.#file = openSync(path, 'a')
  }

  write(line: Line): void {
    writeSync(this.#file, `${JSON.stringify(line)}\n`)
  }

  close(): void {
    closeSync(this.#file)
  }
}

const chunkBytes = 1_048_576

/** Reads such a file while it grows. An incomplete last line is kept back until it is complete. */
export class LineReader<Line> {
  readonly #path: string
  #offset = 0
  #rest = ''

  constructor(path: string) {
    this.#path = path
  }

  /** Returns the lines written since the last call. */
  next(): Line[] {
    const lines: Line[] = []
    for (const text of this.#texts()) lines.push(JSON.parse(text))
    return lines
  }

  *#texts(): Generator<string> {
    const file = openSync(this.#path, 'a+')
    try {
      const chunk = Buffer.alloc(chunkBytes)
      for (let read = readSync(file, chunk, 0, chunkBytes, this.#offset); read > 0; ) {
        this.#offset += read
        const lines = (this.#rest + chunk.toString('latin1', 0, read)).split('\n')
        this.#rest = lines.pop() ?? ''
        for (const line of lines) if (line !== '') yield Buffer.from(line, 'latin1').toString('utf8')
        read = readSync(file, chunk, 0, chunkBytes, this.#offset)
      }
    } finally {
      closeSync(file)
    }
  }
}
