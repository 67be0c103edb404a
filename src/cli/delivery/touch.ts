import { open } from 'node:fs/promises'
import type { Client } from '../../client/node.ts'

/** Duration of one wait, ms. Another one follows. */
const waitMs = 50_000

/**
 * Sets a file's modification time whenever new messages have arrived, and creates the file if it does not exist. It
 * acknowledges nothing; `recv` of the same agent may run at the same time.
 */
export async function touchFor(client: Client, file: string, signal: AbortSignal): Promise<void> {
  for (let after = 0; !signal.aborted; ) {
    const { messages, cursor } = await client.mailbox.wait({ after, waitMs, signal })
    if (messages.length > 0) await touch(file)
    after = cursor
  }
}

async function touch(file: string): Promise<void> {
  const handle = await open(file, 'a')
  try {
    const now = new Date()
    await handle.utimes(now, now)
  } finally {
    await handle.close()
  }
}
