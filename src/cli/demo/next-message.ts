import type { Client, ReceivedMessage } from '../../client/node.ts'
import { defer } from '../../util/deferred.ts'

export type Incoming = {
  message: Promise<ReceivedMessage>
  /** The id of a sent message that the recipient has read. */
  read: Promise<{ id: string }>
}

/** Listens for the next message and the next read receipt. */
export function listen(client: Client): Incoming {
  const read = defer<{ id: string }>()
  client.on('read', read.resolve)
  const message = nextMessage(client)
  // If the demo ends early, nothing awaits this promise.
  message.catch(() => {})
  return { message, read: read.promise }
}

/** Resolves with the next message, already acknowledged. Listening continues. */
async function nextMessage(client: Client): Promise<ReceivedMessage> {
  const received = defer<ReceivedMessage>()
  const receive = async () => {
    for await (const message of client.receive()) {
      await message.ack()
      received.resolve(message)
    }
  }
  receive().catch(received.reject)
  return received.promise
}
