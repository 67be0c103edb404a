/** What went wrong with an agent's state; `retry` says whether the same call may succeed later without anybody's help. */
export const retryable = {
  /** The store was closed, or is closing. */
  closed: false,
  /** A transaction was used after its work had ended. */
  ended: false,
  /** A key that is not 1 to 200 printable ASCII characters, or a value that is not bytes. */
  invalid: false,
  /** The directory or a file is not ours, half-written or garbage. */
  unreadable: false,
  /** Owner or mode of the directory or a file lets others in, or keeps us out. */
  permissions: false,
  /** Written by a newer version of this software, or by an older one that cannot be migrated. */
  version: false,
  /** It is encrypted, and neither a passphrase nor a key was given. */
  secret_missing: false,
  /** It is encrypted with another passphrase or key, or its header was changed. */
  secret_wrong: false,
  /** It is to be encrypted, and is already. */
  encrypted: false,
  /** A passphrase or key was given, and it is not encrypted. */
  not_encrypted: false,
  /** It was exported: the identity lives elsewhere now. */
  moved: false,
  /** An identity was to be brought in, and there is one. */
  occupied: false,
  /** A file that was to be written is there already. */
  file_exists: false,
  /** Another process works with it, and this needs it alone. */
  in_use: true,
  /** Another process held the state for longer than the time allowed. */
  locked: true,
  /** The disk is full or failed; nothing of the transaction was kept. */
  disk: true,
} as const

export type StateErrorCode = keyof typeof retryable

/** The text names the file or database concerned and the way out. The original is untouched. */
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
