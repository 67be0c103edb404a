import type { Static } from 'typebox'
import * as Type from 'typebox'
import type { Argon2Cost, Random } from '../../../crypto/provider.ts'
import { decodeBase64Url, encodeBase64Url, encodeUtf8 } from '../../../util/bytes.ts'
import { ownKeys } from '../own-keys.ts'
import { recordCodec } from '../record-codec.ts'
import { StateError } from '../state-error.ts'
import type { StateReader, StateTransaction } from '../state-store.ts'
import { chooseDerivation, Derivation, deriveKey, openingCost, wantedSecret } from './derivation.ts'
import { openBytes, sealBytes } from './sealed-bytes.ts'
import { type Secret, secretKeyBytes } from './secret.ts'

/**
 * The header of an encrypted state. Its records are encrypted with a random key, which is stored here encrypted by the
 * secret. That makes a wrong secret detectable, and a new secret does not require new records.
 */
const Header = recordCodec('encryption', Type.Object({ derivation: Derivation, key: Type.String() }))
type Header = Static<typeof Header.schema>

/** The parameters are authenticated: after a change of them, decryption fails. */
const headerAad = (derivation: Derivation): Uint8Array =>
  encodeUtf8(`aimessage state ${JSON.stringify(Object.entries(derivation).sort(([a], [b]) => (a < b ? -1 : 1)))}`)

/** Begins the encryption of a state, in the caller's transaction. @returns the key of its records */
export function beginEncryption(
  tx: StateTransaction,
  secret: Secret,
  { random, cost = openingCost }: { random: Random; cost?: Argon2Cost },
): Uint8Array {
  const derivation = chooseDerivation(secret, cost, random)
  const wrapping = deriveKey(secret, derivation)
  if (!wrapping) throw new StateError('invalid', 'A secret must be a passphrase or a key.')
  const key = random(secretKeyBytes)
  const sealed = sealBytes(wrapping, key, headerAad(derivation), random)
  tx.put(ownKeys.encryption, Header.encode({ derivation, key: encodeBase64Url(sealed) }))
  return key
}

/** Returns the header of the state, if it is encrypted. */
export async function readEncryption(tx: StateReader): Promise<Header | undefined> {
  const bytes = await tx.get(ownKeys.encryption)
  return bytes && Header.decode(bytes)
}

/** Returns the key of the records. @throws {StateError} `secret_wrong` */
export function unlock({ derivation, key }: Header, secret: Secret, where: string): Uint8Array {
  const wrapping = deriveKey(secret, derivation)
  if (!wrapping) {
    throw new StateError(
      'secret_wrong',
      `${where} is encrypted with ${wantedSecret(derivation)}, but the other kind of secret was given.`,
    )
  }
  const opened = openBytes(wrapping, decodeBase64Url(key), headerAad(derivation))
  if (opened) return opened
  throw new StateError('secret_wrong', `${where} cannot be decrypted with this passphrase or key. Nothing was changed.`)
}

/** @throws {StateError} `secret_missing` if the state is encrypted */
export async function requirePlain(tx: StateReader, where: string): Promise<void> {
  const header = await readEncryption(tx)
  if (!header) return
  throw new StateError('secret_missing', `${where} is encrypted: give ${wantedSecret(header.derivation)}.`)
}
