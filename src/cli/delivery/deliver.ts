import type { Client, ReceivedMessage } from '../../client/node.ts'
import { sleep } from '../../util/signal.ts'
import { toFailure } from '../base/failure.ts'
import type { Output } from '../base/output.ts'

/** Hands a message to somebody, and answers once that one has it. Throws when it does not. */
export type Deliver = (message: ReceivedMessage, signal: AbortSignal) => Promise<void>

/** Between attempts with one message, ms. */
const firstRetryMs = 1_000
const maxRetryMs = 60_000

type Handing = { client: Client; output: Output; deliver: Deliver; count?: number; signal: AbortSignal }

/**
 * Hands over one message at a time, in order. It is acknowledged when it was taken; one that was not comes again, and those behind it
 * wait, however long that takes.
 */
export async function deliverEach({ client, output, deliver, count, signal }: Handing): Promise<void> {
  for await (const message of client.receive({ signal, ...(count !== undefined && { count }) })) {
    await untilTaken(message, deliver, output, signal)
    if (signal.aborted) return
  }
}

async function untilTaken(
  message: ReceivedMessage,
  deliver: Deliver,
  output: Output,
  signal: AbortSignal,
): Promise<void> {
  for (let attempt = 0; !signal.aborted; attempt += 1) {
    try {
      await deliver(message, signal)
      return
    } catch (error) {
      if (signal.aborted) return
      const waitMs = Math.min(maxRetryMs, firstRetryMs * 2 ** Math.min(attempt, 10))
      const { code, message: why } = toFailure(error)
      const text = `message ${message.id} was not taken: ${why}; the next attempt comes in ${waitMs / 1_000} s`
      output.note(
        { event: 'not-taken', id: message.id, from: message.from, error: { code, message: why }, waitMs },
        text,
      )
      await sleep(waitMs, signal).catch(() => {})
    }
  }
}
