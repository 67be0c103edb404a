import { type FSWatcher, watch } from 'node:fs'

/** Poll interval, ms, for file systems that report no changes (network and FUSE mounts). */
const pollMs = 1000
/** Delay that joins a burst of file events into one call, ms. */
const settleMs = 5

/** Calls `check` when something in a directory may have changed. Keeps the process alive until it is stopped. */
export class DirectoryWatch {
  readonly #check: () => void
  readonly #poll: NodeJS.Timeout
  readonly #watcher: FSWatcher | undefined
  #settle: NodeJS.Timeout | undefined

  constructor(path: string, check: () => void) {
    this.#check = check
    this.#poll = setInterval(check, pollMs)
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
      // Polling continues without the watcher.
      watcher.on('error', () => watcher.close())
      return watcher
    } catch {
      return undefined
    }
  }

  #changed(): void {
    this.#settle ??= setTimeout(() => {
      this.#settle = undefined
      this.#check()
    }, settleMs)
  }
}
