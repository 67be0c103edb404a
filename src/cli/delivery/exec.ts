import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { TooLargeError } from '../../client/base/errors.ts'
import type { Client, ReceivedMessage } from '../../client/node.ts'
import { ignoreNotOpen } from '../../client/requests/request-handler.ts'
import { cryptoLimits } from '../../crypto/limits.ts'
import { encodeJsonLine } from '../../util/escape.ts'
import { sleep } from '../../util/signal.ts'
import { CliError } from '../base/failure.ts'
import { messageJson } from '../text/message-text.ts'
import { childEnvironment } from './child-environment.ts'
import type { Deliver } from './deliver.ts'

/** How long the output of a command that has ended may take, ms: a child in the background may hold the pipe. */
const outputGraceMs = 1_000

/**
 * Runs a shell command for each message, with the message as one line of JSON on its standard input, never on its
 * command line. Exit code 0 accepts the message. For a request, its output is the reply.
 * @param timeoutMs after this time the command and its children are killed
 */
export const execDeliver =
  (client: Client, command: string, timeoutMs: number): Deliver =>
  async (message, signal) => {
    const isRequest = message.kind === 'request'
    const child = spawn(command, {
      shell: true,
      detached: true,
      stdio: ['pipe', isRequest ? 'pipe' : 'inherit', 'inherit'],
      env: childEnvironment(process.env, message),
    })
    const output = isRequest ? readOutput(child) : async () => ''
    await run(
      child,
      `${encodeJsonLine(messageJson(message))}\n`,
      AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    )
    if (isRequest) await answer(client, message, (await output()).replace(/\n$/, ''))
  }

/** An answer that is too long would be too long again. */
async function answer(client: Client, request: ReceivedMessage, text: string): Promise<void> {
  try {
    await client.reply(request, text)
  } catch (error) {
    if (!(error instanceof TooLargeError)) return ignoreNotOpen(error)
    await client.refuse(request, { code: 'failed', message: 'the answer is too long' }).catch(ignoreNotOpen)
  }
}

async function run(child: ChildProcess, input: string, stop: AbortSignal): Promise<void> {
  const kill = () => killGroup(child)
  stop.addEventListener('abort', kill, { once: true })
  const ended = once(child, 'exit')
  // A command that does not read its input may have ended before it is written.
  child.stdin?.on('error', () => {})
  child.stdin?.end(input)
  try {
    const [code, signal] = await ended
    if (stop.aborted) throw refused('the command took too long and was killed')
    if (code !== 0) throw refused(`the command ended with ${code ?? signal}`)
  } finally {
    child.stdin?.destroy()
    stop.removeEventListener('abort', kill)
  }
}

const refused = (message: string): CliError => new CliError('fault', 'exec_failed', message)

function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // The group has ended already.
  }
}

/** Reads the output of a command. Call the result after the command has ended. */
function readOutput({ stdout }: ChildProcess): () => Promise<string> {
  let text = ''
  stdout?.setEncoding('utf8').on('data', chunk => {
    if (text.length <= cryptoLimits.maxContentBytes) text += chunk
  })
  const ended = new Promise<void>(resolve => stdout?.once('close', resolve))
  return async () => {
    const late = new AbortController()
    await Promise.race([ended, sleep(outputGraceMs, late.signal).catch(() => {})])
    late.abort()
    stdout?.destroy()
    return text
  }
}
