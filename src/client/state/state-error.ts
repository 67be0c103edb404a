/** The codes of state errors. The value is true if the same call may succeed later without a change. */
export const retryable = {
  /** The store was closed, or is closing. */
  closed: false,
  /** A transaction was used after its work had ended. */
  ended: false,
  /** A path, a name, a passphrase or a key that cannot be one; in an own store also the key or value of a record. */
  invalid: false,
  /** The directory or a file belongs to another program, is incomplete or is damaged. */
  unreadable: false,
  /** Owner or mode of the directory or a file allows others access, or denies it to this process. */
  permissions: false,
  /** A newer version of this software wrote the state, or an older one that cannot be migrated. */
  version: false,
  /** The state is encrypted, and neither a passphrase nor a key was given. */
  secret_missing: false,
  /** The state is encrypted with another passphrase or key, or its header was changed. */
  secret_wrong: false,
  /** The state cannot be encrypted: it is encrypted already. */
  encrypted: false,
  /** A passphrase or key was given, but the state is not encrypted. */
  not_encrypted: false,
  /** The identity was exported and is used elsewhere now. */
  moved: false,
  /** An import would replace an identity. */
  occupied: false,
  /** The file to write exists already. */
  file_exists: false,
  /** The native module of the database package is not installed for this platform. */
  native_missing: false,
  /** Another process has the state open, and the operation needs exclusive access. */
  in_use: true,
  /** Another process held the write lock longer than the timeout. */
  locked: true,
  /** The disk is full or failed. Nothing of the transaction was stored. */
  disk: true,
} as const

export type StateErrorCode = keyof typeof retryable

/** A failure of the state. The text names the file or database and what to do. A refused file is never changed. */
export class StateError extends Error {
  override readonly name = 'StateError'
  readonly code: StateErrorCode
  readonly retry: boolean

  constructor(code: StateErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.code = code
    this.retry = retryable[code]
  }
}

/** One record of the state is damaged, or a newer version of this software wrote it. */
export class UnreadableRecordError extends StateError {
  /** The key of the record, if the store itself could not read it. */
  readonly key: string | undefined
  readonly #bytes: Uint8Array

  /** @param record `bytes` is the value, and `key` its key if it is known */
  constructor(code: 'unreadable' | 'version', message: string, { bytes, key }: { bytes: Uint8Array; key?: string }) {
    super(code, message)
    this.#bytes = bytes
    this.key = key
  }

  /** The value as it is stored. A method, so that no log prints it. */
  bytes(): Uint8Array {
    return this.#bytes
  }
}
