import { Client as BaseClient } from './client.ts'
import { dialBrowser } from './connection/dial-browser.ts'
import type { SuitePolicy } from './options.ts'
import type { StateStore } from './state/state-store.ts'

export type BrowserClientOptions = {
  /** `ws://host:port` or `wss://host`. */
  server: string
  /** From `openIndexedDbStore` or `openMemoryStore`. The client closes it. */
  store: StateStore
  /** The deployment's domain, where it is not the host of `server`. */
  domain?: string
  /** Default: every suite that there is. */
  policy?: SuitePolicy
}

/**
 * Opens an agent over its state. Nothing is dialled yet.
 * @throws {StateError} when the state cannot be read.
 * @throws {ServerUrlError} when `server` or `domain` cannot be meant.
 */
export const openClient = (options: BrowserClientOptions): Promise<BaseClient> =>
  BaseClient.open({ ...options, dial: dialBrowser })

export * from './public.ts'
export { openIndexedDbStore } from './state/indexed-db-store.ts'
