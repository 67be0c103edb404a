import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'

type Terminal = { input: NodeJS.ReadableStream; output: NodeJS.WritableStream }

/** Asks on standard error, so that standard output has only results. The typed text is not shown. */
export async function promptSecret(
  question: string,
  signal: AbortSignal,
  { input, output }: Terminal = { input: process.stdin, output: process.stderr },
): Promise<string> {
  output.write(question)
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
  const lines = createInterface({ input, output: nowhere, terminal: true })
  // In raw mode Ctrl-C is a character: turn it into the signal that the process handles.
  lines.on('SIGINT', () => process.kill(process.pid, 'SIGINT'))
  try {
    return await lines.question('', { signal })
  } finally {
    lines.close()
    output.write('\n')
  }
}

/** Asks on standard error, and returns the typed line. */
export async function promptLine(
  question: string,
  signal: AbortSignal,
  { input, output }: Terminal = { input: process.stdin, output: process.stderr },
): Promise<string> {
  const lines = createInterface({ input, output, terminal: true })
  lines.on('SIGINT', () => process.kill(process.pid, 'SIGINT'))
  try {
    return await lines.question(question, { signal })
  } finally {
    lines.close()
  }
}
