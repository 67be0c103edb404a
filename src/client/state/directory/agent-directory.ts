import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { openEncryptedStore } from '../encryption/encrypted-store.ts'
import { requirePlain } from '../encryption/encryption.ts'
import type { Secret } from '../encryption/secret.ts'
import { requireHere } from '../own-keys.ts'
import type { StateStore } from '../state-store.ts'
import { type DirectoryStoreOptions, openDirectoryStore } from './directory-store.ts'

/** A migration would have to read through the encryption: when there is a second format, it is given here and not below. */
interface AgentDirectoryOptions extends Omit<DirectoryStoreOptions, 'format'> {
  /** Encrypts a new state, and opens an encrypted one. */
  secret?: Secret
}

/**
 * The state of one agent in a directory of a local disk, shared by any number of processes of this machine and user. Made when
 * it does not exist. See docs/STATE.md.
 * @throws {StateError} `unreadable`, `permissions`, `version`, `locked`, `in_use`, `disk`, `moved`, `secret_missing`, `secret_wrong` or
 * `not_encrypted`
 */
export async function openAgentDirectory(
  path: string,
  { secret, ...options }: AgentDirectoryOptions = {},
): Promise<StateStore> {
  const store = await openDirectoryStore(path, options)
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

/** Whether a directory has a state, of whatever kind. Makes and opens nothing. */
export async function hasState(path: string): Promise<boolean> {
  const found = await stat(join(path, 'state.db')).catch(error => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined
    throw error
  })
  return found !== undefined
}
