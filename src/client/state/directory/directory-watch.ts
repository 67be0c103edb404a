import { type FSWatcher, watch } from 'node:fs'

/** Where the file system reports nothing (network and FUSE mounts), changes are seen this late. */
const pollMs = 1000
/** One look for a burst of file events. */
const settleMs = 5

/** Calls `look` when something in a directory may have changed. Keeps the process alive until it is stopped. */
export class DirectoryWatch {
  readonly #look: () => void
  readonly #poll: NodeJS.Timeout
  readonly #watcher: FSWatcher | undefined
  #settle: NodeJS.Timeout | undefined

  constructor(path: string, look: () => void) {
    this.#look = look
    this.#poll = setInterval(look, pollMs)
    this.#watcher = this.#start(path)
  }

  stop(): void {
    clearInterval(this.#poll)
    clearTimeout(this.#settle)
    this.#watcher?.close()
  }

  #start(path: string): FSWatcher | undefined {
    try {
      const watcher = watch(path, () => this.#changed())
      // The poll goes on without it.
      watcher.on('error', () => watcher.close())
      return watcher
    } catch {
      return undefined
    }
  }

  #changed(): void {
    this.#settle ??= setTimeout(() => {
      this.#settle = undefined
      this.#look()
    }, settleMs)
  }
}
