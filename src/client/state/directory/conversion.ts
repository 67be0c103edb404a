import { randomBytes } from '../../../crypto/provider.ts'
import { checkSecret } from '../encryption/derivation.ts'
import { RecordCipher } from '../encryption/encrypted-store.ts'
import { beginEncryption, readEncryption, unlock } from '../encryption/encryption.ts'
import type { Secret } from '../encryption/secret.ts'
import { isOwnKey, ownKeys, requireHere } from '../own-keys.ts'
import { StateError } from '../state-error.ts'
import type { StateTransaction } from '../state-store.ts'
import { openDirectoryStore } from './directory-store.ts'

/**
 * Encrypts an unencrypted state, in one transaction. The file system may keep the unencrypted data on the disk for
 * longer.
 * @throws {StateError} `in_use` while any other process has it open; `encrypted`, `moved`, `invalid`
 */
export const encryptState = (path: string, secret: Secret): Promise<void> =>
  convert(path, secret, async tx => {
    if (await readEncryption(tx)) {
      throw new StateError(
        'encrypted',
        `${path} is encrypted already: to change the passphrase or key, decrypt it first.`,
      )
    }
    const entries = await tx.list('')
    const cipher = new RecordCipher(beginEncryption(tx, secret, { random: randomBytes }), path)
    for (const [key, value] of entries) if (!isOwnKey(key)) tx.put(key, cipher.seal(key, value))
  })

/**
 * Decrypts an encrypted state, in one transaction.
 * @throws {StateError} `in_use`, `secret_wrong`, `moved`; `not_encrypted` if the state is not encrypted
 */
export const decryptState = (path: string, secret: Secret): Promise<void> =>
  convert(path, secret, async tx => {
    const header = await readEncryption(tx)
    if (!header) throw new StateError('not_encrypted', `${path} is not encrypted.`)
    const cipher = new RecordCipher(unlock(header, secret, path), path)
    for (const [key, value] of await tx.list('')) if (!isOwnKey(key)) tx.put(key, cipher.open(key, value))
    tx.delete(ownKeys.encryption)
  })

async function convert(path: string, secret: Secret, work: (tx: StateTransaction) => Promise<void>): Promise<void> {
  checkSecret(secret)
  const store = await openDirectoryStore(path, { use: 'alone' })
  try {
    await store.transaction(async tx => {
      await requireHere(tx, path)
      await work(tx)
    })
  } finally {
    await store.close()
  }
}
