import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { checkSecret } from '../encryption/derivation.ts'
import { openEncryptedStore } from '../encryption/encrypted-store.ts'
import { requirePlain } from '../encryption/encryption.ts'
import type { Secret } from '../encryption/secret.ts'
import { requireHere } from '../own-keys.ts'
import { checkObject } from '../state-arguments.ts'
import type { StateStore } from '../state-store.ts'
import { type DirectoryStoreOptions, openDirectoryStore } from './directory-store.ts'

/** Without `format`: a migration must read decrypted values, so a second format would be passed in here. */
interface AgentDirectoryOptions extends Omit<DirectoryStoreOptions, 'format'> {
  /** Encrypts a new state, or opens an encrypted one. */
  secret?: Secret
}

/**
 * Opens the state of one agent in a directory on a local disk, shared by any number of processes of this machine and
 * user. Creates the directory if it does not exist. See docs/STATE.md.
 * @throws {StateError} `unreadable`, `permissions`, `version`, `locked`, `in_use`, `disk`, `moved`, `secret_missing`,
 * `secret_wrong` or `not_encrypted`
 */
export async function openAgentDirectory(path: string, options: AgentDirectoryOptions = {}): Promise<StateStore> {
  checkObject(options, 'The options of a store')
  const { secret, ...settings } = options
  if (secret !== undefined) checkSecret(secret)
  const store = await openDirectoryStore(path, settings)
  try {
    await store.read(tx => requireHere(tx, path))
    if (secret) return await openEncryptedStore(store, secret, { where: path })
    await store.read(tx => requirePlain(tx, path))
    return store
  } catch (error) {
    await store.close()
    throw error
  }
}

/** Returns true if a directory has a state of any kind. Creates and opens nothing. */
export async function hasState(path: string): Promise<boolean> {
  const found = await stat(join(path, 'state.db')).catch(error => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined
    throw error
  })
  return found !== undefined
}
