/** Encrypts and decrypts a state or an export. */
export type Secret =
  | { readonly type: 'passphrase'; readonly passphrase: string }
  /** 32 random bytes. */
  | { readonly type: 'key'; readonly key: Uint8Array }

export const secretKeyBytes = 32
