import { createHash, randomBytes } from 'node:crypto'

/** Returns 32 random bytes as base64url, for a nonce or a token. */
export const generateSecret = (): string => randomBytes(32).toString('base64url')

/** Returns the SHA-256 of a token's or an invite's text, base64url. Nodes store this hash only. */
export const hashSecret = (secret: string): string => createHash('sha256').update(secret).digest('base64url')
