import type { Client, ReceivedMessage } from '../../client/node.ts'
import { defer } from '../../util/deferred.ts'

/** What an agent that listens will hear next. */
export type Ears = {
  message: Promise<ReceivedMessage>
  /** The id of a message of its own that was read. */
  read: Promise<{ id: string }>
}

/** Listens for one message and one receipt. */
export function listen(client: Client): Ears {
  const read = defer<{ id: string }>()
  client.on('read', read.resolve)
  const message = nextMessage(client)
  // Whoever awaits them is told; if the scene ends before, nobody is.
  message.catch(() => {})
  return { message, read: read.promise }
}

/** The next message, acknowledged; listening goes on. */
async function nextMessage(client: Client): Promise<ReceivedMessage> {
  const heard = defer<ReceivedMessage>()
  const hear = async () => {
    for await (const message of client.receive()) {
      await message.ack()
      heard.resolve(message)
    }
  }
  hear().catch(heard.reject)
  return heard.promise
}
