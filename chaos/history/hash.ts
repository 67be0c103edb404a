import { hash } from 'node:crypto'

/** Returns the SHA-256 of a text as base64url. */
export const hashOf = (text: string): string => hash('sha256', text, 'base64url')
