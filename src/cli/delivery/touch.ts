import { open } from 'node:fs/promises'
import type { Client } from '../../client/node.ts'

/** Longest of the waits that follow each other, ms. */
const waitMs = 50_000

/**
 * Sets a file's time whenever something new is there, and makes the file where there is none. It acknowledges nothing, and `recv` of the same agent
 * may run meanwhile.
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
