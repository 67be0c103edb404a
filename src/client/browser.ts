import { object } from './base/arguments.ts'
import { Client as BaseClient } from './client.ts'
import { dialBrowser } from './connection/dial-browser.ts'
import type { SuitePolicy } from './options.ts'
import type { StateStore } from './state/state-store.ts'

export type BrowserClientOptions = {
  /** `ws://host:port` or `wss://host`. */
  server: string
  /** A store from `openIndexedDbStore` or `openMemoryStore`. The client closes it. */
  store: StateStore
  /** The deployment's domain, if it differs from the host of `server`. */
  domain?: string
  /** Default: all suites. */
  policy?: SuitePolicy
}

/**
 * Opens an agent with its state, without connecting.
 * @throws {StateError} if the state cannot be read.
 * @throws {ServerUrlError} if `server` or `domain` is not valid.
 * @throws {InvalidArgumentError} if another option is not valid.
 */
export const openClient = async (options: BrowserClientOptions): Promise<BaseClient> => {
  object({})(options, 'options')
  return BaseClient.open({ ...options, dial: dialBrowser })
}

export * from './public.ts'
export { openIndexedDbStore } from './state/indexed-db-store.ts'
