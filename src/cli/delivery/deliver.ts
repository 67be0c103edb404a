import type { Client, ReceivedMessage } from '../../client/node.ts'
import { sleep } from '../../util/signal.ts'
import { toFailure } from '../base/failure.ts'
import type { Output } from '../base/output.ts'

/** Delivers a message to its consumer. Resolves when the consumer has accepted it, throws otherwise. */
export type Deliver = (message: ReceivedMessage, signal: AbortSignal) => Promise<void>

/** Waits between attempts to deliver one message, ms. */
const firstRetryMs = 1_000
const maxRetryMs = 60_000

type Delivery = { client: Client; output: Output; deliver: Deliver; count?: number; signal: AbortSignal }

/**
 * Delivers messages one at a time, in order, and acknowledges each one that was accepted. It retries a message without
 * limit, and the messages behind it wait.
 */
export async function deliverEach({ client, output, deliver, count, signal }: Delivery): Promise<void> {
  for await (const message of client.receive({ signal, ...(count !== undefined && { count }) })) {
    await deliverWithRetry(message, deliver, output, signal)
    if (signal.aborted) return
  }
}

async function deliverWithRetry(
  message: ReceivedMessage,
  deliver: Deliver,
  output: Output,
  signal: AbortSignal,
): Promise<void> {
  for (let attempt = 0; !signal.aborted; attempt += 1) {
    const { id, from, deadline } = message
    if (deadline !== undefined && deadline <= Date.now()) {
      // What the consumer did would be done for nobody.
      output.note({ event: 'expired', id, from }, `request ${id} was not delivered: its sender does not wait any more`)
      return
    }
    try {
      await deliver(message, signal)
      return
    } catch (error) {
      if (signal.aborted) return
      const waitMs = Math.min(maxRetryMs, firstRetryMs * 2 ** Math.min(attempt, 10))
      const { code, message: why } = toFailure(error)
      const text = `message ${message.id} was not accepted: ${why}; the next attempt is in ${waitMs / 1_000} s`
      output.note(
        { event: 'not-taken', id: message.id, from: message.from, error: { code, message: why }, waitMs },
        text,
      )
      await sleep(waitMs, signal).catch(() => {})
    }
  }
}
