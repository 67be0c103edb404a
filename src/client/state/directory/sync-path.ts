import { open } from 'node:fs/promises'

/** Waits until a file, or the entries of a directory, are on disk. */
export async function syncPath(path: string): Promise<void> {
  // Windows cannot sync a directory, and its file system keeps names in a journal.
  if (process.platform === 'win32') return
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
