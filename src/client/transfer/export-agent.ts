import { link, open, readFile, rm } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { randomBytes } from '../../crypto/provider.ts'
import { asError } from '../../util/as-error.ts'
import { toHex } from '../../util/bytes.ts'
import { type Account, Identity, toAccount } from '../connection/identity.ts'
import { keys } from '../records/keys.ts'
import { openDirectoryStore } from '../state/directory/directory-store.ts'
import { syncPath } from '../state/directory/sync-path.ts'
import { checkSecret } from '../state/encryption/derivation.ts'
import { RecordCipher } from '../state/encryption/encrypted-store.ts'
import { beginEncryption, readEncryption, unlock } from '../state/encryption/encryption.ts'
import type { Secret } from '../state/encryption/secret.ts'
import { openMemoryStore } from '../state/memory-store.ts'
import { hasRecords, isOwnKey, ownKeys, requireHere } from '../state/own-keys.ts'
import { checkObject, checkText } from '../state/state-arguments.ts'
import { StateError } from '../state/state-error.ts'
import type { StateEntry, StateReader } from '../state/state-store.ts'
import { decodeExport, encodeExport } from './export-file.ts'

const fileMode = 0o600

/**
 * Moves an agent's whole state from a directory into an encrypted file. Once the file is on disk, the directory is
 * marked as moved and can no longer be opened. `secret` encrypts the file, and decrypts the state if that is encrypted.
 * @throws {NotRegisteredError}
 * @throws {StateError} `in_use` while another process has the state open; `secret_missing`, `secret_wrong`, `moved`,
 * `invalid`; `file_exists`; `disk` if the file cannot be written
 */
export async function exportAgent(path: string, file: string, secret: Secret): Promise<Account> {
  checkSecret(secret)
  checkText(file, 'The path of an export')
  const store = await openDirectoryStore(path, { use: 'alone' })
  try {
    const entries = await store.read(tx => readRecords(tx, path, secret))
    const account = await accountIn(entries)
    await writeNew(resolve(file), encodeExport(entries, secret, { random: randomBytes }))
    // In this order: a crash between the two steps leaves two copies, which the next login detects, rather than none.
    await store.transaction(tx => tx.put(ownKeys.moved, new Uint8Array()))
    return account
  } finally {
    await store.close()
  }
}

/**
 * Imports an exported agent into a state directory without one. `stateSecret` encrypts the new state.
 * @throws {StateError} `occupied` if the directory holds an identity; nothing is changed. `unreadable`, `version`,
 * `secret_wrong`, `moved`, …
 */
export async function importAgent(
  path: string,
  file: string,
  options: { secret: Secret; stateSecret?: Secret },
): Promise<Account> {
  checkObject(options, 'The options of an import')
  const { secret, stateSecret } = options
  checkSecret(secret)
  if (stateSecret !== undefined) checkSecret(stateSecret)
  checkText(file, 'The path of an export')
  const entries = decodeExport(await readExport(file), secret, file)
  const account = await accountIn(entries)
  const store = await openDirectoryStore(path)
  try {
    await store.transaction(async tx => {
      await requireHere(tx, path)
      if ((await hasRecords(tx)) || (await readEncryption(tx))) throw occupied(path)
      const cipher = stateSecret && new RecordCipher(beginEncryption(tx, stateSecret, { random: randomBytes }), path)
      for (const [key, value] of entries) tx.put(key, cipher ? cipher.seal(key, value) : value)
    })
    return account
  } finally {
    await store.close()
  }
}

async function readRecords(tx: StateReader, path: string, secret: Secret): Promise<StateEntry[]> {
  await requireHere(tx, path)
  const header = await readEncryption(tx)
  const cipher = header && new RecordCipher(unlock(header, secret, path), path)
  const entries = (await tx.list('')).filter(([key]) => !isOwnKey(key))
  return cipher ? entries.map(([key, value]) => [key, cipher.open(key, value)]) : entries
}

const occupied = (path: string): StateError =>
  new StateError('occupied', `${path} holds an identity already: import into another directory. Nothing was changed.`)

/** Returns the account in the records. @throws {NotRegisteredError} */
async function accountIn(entries: readonly StateEntry[]): Promise<Account> {
  const store = openMemoryStore()
  const account = entries.find(([key]) => key === keys.account())
  if (account) await store.transaction(tx => tx.put(...account))
  return toAccount((await Identity.open(store)).required)
}

/** Creates a file. It appears under its name only when it is complete and on disk, and never replaces another file. */
async function writeNew(file: string, bytes: Uint8Array): Promise<void> {
  const draft = `${file}.${toHex(randomBytes(8))}`
  try {
    const handle = await open(draft, 'wx', fileMode)
    try {
      await handle.writeFile(bytes)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await link(draft, file)
  } catch (error) {
    throw writeError(error, file)
  } finally {
    await rm(draft, { force: true })
  }
  await syncPath(dirname(file))
}

function writeError(error: unknown, file: string): unknown {
  if (!(error instanceof Error && 'code' in error)) return error
  const cause = { cause: error }
  if (error.code === 'EEXIST') {
    return new StateError('file_exists', `${file} exists already: choose another name. Nothing was exported.`, cause)
  }
  return new StateError('disk', `${file} cannot be written (${error.message}). Nothing was exported.`, cause)
}

async function readExport(file: string): Promise<Uint8Array> {
  try {
    return await readFile(file)
  } catch (error) {
    const why = asError(error).message
    throw new StateError('unreadable', `${file} cannot be read (${why}).`, { cause: error })
  }
}
