import type { Static } from 'typebox'
import * as Type from 'typebox'
import { type Argon2Cost, argon2id, hkdfSha256, type Random } from '../../../crypto/provider.ts'
import { decodeBase64Url, encodeBase64Url, encodeUtf8 } from '../../../util/bytes.ts'
import { StateError } from '../state-error.ts'
import { type Secret, secretKeyBytes } from './secret.ts'

const saltBytes = 16
/** Minimum for a new passphrase: Argon2id makes guessing expensive, not impossible. */
const minPassphraseChars = 8

/** Cost for every process that opens an encrypted state: OWASP's third choice, 0.2 s of CPU in JavaScript. */
export const openingCost: Argon2Cost = { memoryKib: 12_288, passes: 3, lanes: 1 }
/** Cost of an export or import: the second choice of RFC 9106 section 4, because the file leaves the machine. */
export const exportCost: Argon2Cost = { memoryKib: 65_536, passes: 3, lanes: 4 }

/** 16 bytes in canonical base64url: the last character carries two bits. */
const Salt = Type.String({ pattern: '^[A-Za-z0-9_-]{21}[AQgw]$' })

/** Parameters of the key derivation. The bounds limit the memory that a forged file can demand to 256 MiB. */
export const Derivation = Type.Union([
  Type.Object({
    type: Type.Literal('argon2id'),
    salt: Salt,
    memoryKib: Type.Integer({ minimum: 1_024, maximum: 262_144 }),
    passes: Type.Integer({ minimum: 1, maximum: 16 }),
    lanes: Type.Integer({ minimum: 1, maximum: 16 }),
  }),
  Type.Object({ type: Type.Literal('hkdf-sha256'), salt: Salt }),
])
export type Derivation = Static<typeof Derivation>

/**
 * Returns the parameters for a new state or export, with a fresh salt.
 * @throws {StateError} `invalid` for a short passphrase
 */
export function chooseDerivation(secret: Secret, cost: Argon2Cost, random: Random): Derivation {
  checkSecret(secret)
  const salt = encodeBase64Url(random(saltBytes))
  if (secret.type === 'key') return { type: 'hkdf-sha256', salt }
  if ([...secret.passphrase].length < minPassphraseChars) {
    throw new StateError('invalid', `A passphrase must have at least ${minPassphraseChars} characters.`)
  }
  return { type: 'argon2id', salt, ...cost }
}

/**
 * Derives the key from a secret. Returns undefined if the other kind of secret is needed.
 * @throws {StateError} `invalid` for a key of the wrong length
 */
export function deriveKey(secret: Secret, derivation: Derivation): Uint8Array | undefined {
  checkSecret(secret)
  const salt = decodeBase64Url(derivation.salt)
  if (secret.type === 'passphrase') {
    if (derivation.type !== 'argon2id') return undefined
    // Keyboards produce the same passphrase in several Unicode forms.
    return argon2id(encodeUtf8(secret.passphrase.normalize('NFKC')), salt, derivation)
  }
  if (secret.key.length !== secretKeyBytes) throw new StateError('invalid', `A key must have ${secretKeyBytes} bytes.`)
  if (derivation.type !== 'hkdf-sha256') return undefined
  return hkdfSha256(salt, secret.key, encodeUtf8('aimessage key file'), secretKeyBytes)
}

/** @throws {StateError} `invalid` for anything that is not a `Secret`. Its text never has a part of the secret. */
export function checkSecret(secret: unknown): asserts secret is Secret {
  const { type, passphrase, key } = Object(secret) as { type?: unknown; passphrase?: unknown; key?: unknown }
  if (type === 'passphrase' && typeof passphrase === 'string') return
  if (type === 'key' && key instanceof Uint8Array) return
  const kinds = "{ type: 'passphrase', passphrase } or { type: 'key', key } with a Uint8Array"
  throw new StateError('invalid', `A secret must be ${kinds}.`)
}

/** Names the kind of secret that is needed, for errors. */
export const wantedSecret = ({ type }: Derivation): string => (type === 'argon2id' ? 'a passphrase' : 'a key file')
