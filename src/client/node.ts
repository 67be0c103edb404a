import { readFile } from 'node:fs/promises'
import { nodeProvider } from '../crypto/node-provider.ts'
import { useProvider } from '../crypto/provider.ts'
import { asError } from '../util/as-error.ts'
import { object, optional, text } from './base/arguments.ts'
import { InvalidArgumentError } from './base/errors.ts'
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
 * @throws {InvalidArgumentError} if another option is not valid, or `caFile` has no certificate.
 */
export async function openClient(options: NodeClientOptions): Promise<BaseClient> {
  checkOptions(options, 'options')
  const { caFile, ...rest } = options
  const tls = caFile === undefined ? {} : { ca: await readAuthorities(caFile) }
  return BaseClient.open({ ...rest, dial: dialNode(tls) })
}

/** How much of a path, or of an error of the system, an error shows. */
const maxShown = 200

const checkOptions = object({ caFile: optional(text) })

/** Node would ignore a file without a certificate, and the failure would be one of TLS, later. */
async function readAuthorities(file: string): Promise<string> {
  try {
    const authorities = await readFile(file, 'utf8')
    if (/-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----/.test(authorities)) return authorities
  } catch (error) {
    const why = asError(error).message.slice(0, maxShown)
    throw new InvalidArgumentError('caFile', `cannot be read (${why})`, { cause: error })
  }
  const rule = `must be a file of certificates in PEM format, and ${file.slice(0, maxShown)} has none`
  throw new InvalidArgumentError('caFile', rule)
}

export * from './public.ts'
export { openAgentDirectory as openDirectoryStore } from './state/directory/agent-directory.ts'
export { decryptState, encryptState } from './state/directory/conversion.ts'
export { exportAgent, importAgent } from './transfer/export-agent.ts'
