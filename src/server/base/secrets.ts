import { createHash, randomBytes } from 'node:crypto'

/** 32 random bytes, base64url: a nonce, a token. */
export const generateSecret = (): string => randomBytes(32).toString('base64url')

/** What a node keeps of a token or an invite: the SHA-256 of its text, base64url. */
export const hashSecret = (secret: string): string => createHash('sha256').update(secret).digest('base64url')
