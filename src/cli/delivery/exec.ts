import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Client } from '../../client/node.ts'
import { ignoreNotOpen } from '../../client/requests/request-handler.ts'
import { cryptoLimits } from '../../crypto/limits.ts'
import { encodeJsonLine } from '../../util/escape.ts'
import { CliError } from '../base/failure.ts'
import { messageJson } from '../text/message-text.ts'
import type { Deliver } from './deliver.ts'

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
      env: { ...process.env, AIMESSAGE_FROM: message.from, AIMESSAGE_ID: message.id },
    })
    const output = isRequest ? readAll(child) : Promise.resolve('')
    await run(
      child,
      `${encodeJsonLine(messageJson(message))}\n`,
      AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    )
    if (isRequest) await client.reply(message, (await output).replace(/\n$/, '')).catch(ignoreNotOpen)
  }

async function run(child: ChildProcess, input: string, stop: AbortSignal): Promise<void> {
  const kill = () => killGroup(child)
  stop.addEventListener('abort', kill, { once: true })
  const ended = once(child, 'close')
  // A command that does not read its input may have ended before it is written.
  child.stdin?.on('error', () => {})
  child.stdin?.end(input)
  try {
    const [code, signal] = await ended
    if (stop.aborted) throw refused('the command took too long and was killed')
    if (code !== 0) throw refused(`the command ended with ${code ?? signal}`)
  } finally {
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

async function readAll({ stdout }: ChildProcess): Promise<string> {
  let text = ''
  for await (const chunk of stdout?.setEncoding('utf8') ?? []) {
    if (text.length <= cryptoLimits.maxContentBytes) text += chunk
  }
  return text
}
