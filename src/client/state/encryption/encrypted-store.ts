import { type Random, randomBytes } from '../../../crypto/provider.ts'
import { concatBytes, encodeUtf8 } from '../../../util/bytes.ts'
import { hasRecords, isOwnKey } from '../own-keys.ts'
import { checkStore } from '../state-arguments.ts'
import { StateError, UnreadableRecordError } from '../state-error.ts'
import { checkKey, checkValue } from '../state-keys.ts'
import type { ListOptions, StateEntry, StateReader, StateStore, StateTransaction } from '../state-store.ts'
import { checkSecret } from './derivation.ts'
import { beginEncryption, readEncryption, unlock } from './encryption.ts'
import { openBytes, sealBytes } from './sealed-bytes.ts'
import type { Secret } from './secret.ts'

/** The layout of an encrypted value. */
const version = 1

interface EncryptionOptions {
  /** Name of the state in errors. */
  where?: string
  random?: Random
}

/**
 * Opens a store that encrypts its values. Keys stay readable, so that they can be listed in order: docs/STATE.md says
 * what they reveal. Encrypts an empty store from the first record. Closing the returned store closes `store`.
 * @throws {StateError} `secret_wrong`; `not_encrypted` if the store has unencrypted records.
 */
export async function openEncryptedStore(
  store: StateStore,
  secret: Secret,
  { where = 'The state', random = randomBytes }: EncryptionOptions = {},
): Promise<StateStore> {
  checkStore(store)
  checkSecret(secret)
  const header = await store.read(readEncryption)
  const key = header ? unlock(header, secret, where) : await begin(store, secret, where, random)
  return new EncryptedStore(store, new RecordCipher(key, where, random))
}

/** Begins the encryption, unless another process has done so first. */
function begin(store: StateStore, secret: Secret, where: string, random: Random): Promise<Uint8Array> {
  return store.transaction(async tx => {
    const header = await readEncryption(tx)
    if (header) return unlock(header, secret, where)
    if (await hasRecords(tx)) {
      throw new StateError(
        'not_encrypted',
        `${where} is not encrypted: run "aimessage encrypt" once with this passphrase or key, or omit it.`,
      )
    }
    return beginEncryption(tx, secret, { random })
  })
}

/** Encrypts records with their names as associated data, so that no record can replace another. */
export class RecordCipher {
  readonly #key: Uint8Array
  readonly #where: string
  readonly #random: Random

  constructor(key: Uint8Array, where: string, random: Random = randomBytes) {
    this.#key = key
    this.#where = where
    this.#random = random
  }

  seal(name: string, value: Uint8Array): Uint8Array {
    return concatBytes(Uint8Array.of(version), sealBytes(this.#key, value, aadOf(name), this.#random))
  }

  /** @throws {StateError} `unreadable` or `version` */
  open(name: string, sealed: Uint8Array): Uint8Array {
    if (sealed[0] !== version) throw this.#unreadable(name, sealed, sealed.length === 0 ? 'unreadable' : 'version')
    const value = openBytes(this.#key, sealed.subarray(1), aadOf(name))
    if (!value) throw this.#unreadable(name, sealed, 'unreadable')
    return value
  }

  #unreadable(name: string, bytes: Uint8Array, code: 'unreadable' | 'version'): StateError {
    const what =
      code === 'version'
        ? 'was written by another version of aimessage'
        : 'is damaged, or was not written by this agent'
    const text = `${this.#where}: the record ${JSON.stringify(name)} ${what}. It was not changed: restore a copy of the state.`
    return new UnreadableRecordError(code, text, { bytes, key: name })
  }
}

const aadOf = (name: string): Uint8Array => encodeUtf8(`aimessage record ${name}`)

class EncryptedStore implements StateStore {
  readonly #store: StateStore
  readonly #cipher: RecordCipher

  constructor(store: StateStore, cipher: RecordCipher) {
    this.#store = store
    this.#cipher = cipher
  }

  transaction<T>(work: (tx: StateTransaction) => Promise<T> | T): Promise<T> {
    return this.#store.transaction(tx => work(new EncryptedTransaction(tx, this.#cipher)))
  }

  read<T>(work: (tx: StateReader) => Promise<T> | T): Promise<T> {
    return this.#store.read(tx => work(new EncryptedReader(tx, this.#cipher)))
  }

  onChange(handler: () => void): () => void {
    return this.#store.onChange(handler)
  }

  close(): Promise<void> {
    return this.#store.close()
  }
}

class EncryptedReader implements StateReader {
  readonly #tx: StateReader
  readonly #cipher: RecordCipher

  constructor(tx: StateReader, cipher: RecordCipher) {
    this.#tx = tx
    this.#cipher = cipher
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    requireClientKey(key)
    const sealed = await this.#tx.get(key)
    return sealed && this.#cipher.open(key, sealed)
  }

  async list(
    prefix: string,
    { limit = Number.POSITIVE_INFINITY, ...options }: ListOptions = {},
  ): Promise<StateEntry[]> {
    // The state's own keys may be among the entries and must not count.
    const entries = await this.#tx.list(prefix, { ...options, limit: limit + ownKeyCount })
    return entries
      .filter(([key]) => !isOwnKey(key))
      .slice(0, limit)
      .map(([key, sealed]) => [key, this.#cipher.open(key, sealed)])
  }
}

const ownKeyCount = 2

class EncryptedTransaction extends EncryptedReader implements StateTransaction {
  readonly #tx: StateTransaction
  readonly #cipher: RecordCipher

  constructor(tx: StateTransaction, cipher: RecordCipher) {
    super(tx, cipher)
    this.#tx = tx
    this.#cipher = cipher
  }

  put(key: string, value: Uint8Array): void {
    requireClientKey(key)
    checkKey(key)
    checkValue(value)
    this.#tx.put(key, this.#cipher.seal(key, value))
  }

  delete(key: string): void {
    requireClientKey(key)
    this.#tx.delete(key)
  }
}

function requireClientKey(key: string): void {
  if (isOwnKey(key)) throw new StateError('invalid', 'Keys that begin with ! are reserved for the state itself.')
}
