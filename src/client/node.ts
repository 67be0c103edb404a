import { readFile } from 'node:fs/promises'
import { nodeProvider } from '../crypto/node-provider.ts'
import { useProvider } from '../crypto/provider.ts'
import { Client as BaseClient } from './client.ts'
import { dialNode } from './connection/dial-node.ts'
import type { SuitePolicy } from './options.ts'
import type { StateStore } from './state/state-store.ts'

useProvider(nodeProvider)

export type NodeClientOptions = {
  /** `ws://host:port` or `wss://host`. */
  server: string
  /** A store from `openDirectoryStore` or `openMemoryStore`. The client closes it. */
  store: StateStore
  /** The deployment's domain, if it differs from the host of `server`. */
  domain?: string
  /** Default: all suites. */
  policy?: SuitePolicy
  /** A file of certificates (PEM) to trust in addition to the system's. */
  caFile?: string
}

/**
 * Opens an agent with its state, without connecting.
 * @throws {StateError} if the state cannot be read.
 * @throws {ServerUrlError} if `server` or `domain` is not valid.
 */
export async function openClient({ caFile, ...options }: NodeClientOptions): Promise<BaseClient> {
  const tls = caFile === undefined ? {} : { ca: await readFile(caFile, 'utf8') }
  return BaseClient.open({ ...options, dial: dialNode(tls) })
}

export * from './public.ts'
export { openAgentDirectory as openDirectoryStore } from './state/directory/agent-directory.ts'
export { decryptState, encryptState } from './state/directory/conversion.ts'
export { exportAgent, importAgent } from './transfer/export-agent.ts'
