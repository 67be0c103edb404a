declare const brand: unique symbol

/** A 32-byte Ed25519 public key that has passed `checkIdentityKey`. */
export type IdentityKey = Uint8Array & { readonly [brand]: 'IdentityKey' }
