import { concatBytes, encodeUtf8 } from '../../util/bytes.ts'
import { u64, vec8 } from '../encoding/byte-writer.ts'
import type { IdentityKey } from '../identity-key.ts'
import { labels } from '../labels.ts'
import type { Verify } from '../provider.ts'
import { type IdentityKeyPair, sign, signedBytes, verifySigned } from './identity.ts'

/** How many steps an agent's state may make (docs/E2E.md section 9). `address` is `username@domain`. */
export type Reservation = { readonly address: string; readonly upTo: number }

const encodeFields = ({ address, upTo }: Reservation): Uint8Array => concatBytes(vec8(encodeUtf8(address)), u64(upTo))

/** Returns the bytes to sign, including the label. */
export const encodeReservation = (reservation: Reservation): Uint8Array =>
  signedBytes(labels.reservation, encodeFields(reservation))

export const signReservation = (identity: IdentityKeyPair, reservation: Reservation): Uint8Array =>
  sign(identity, labels.reservation, encodeFields(reservation))

/** Returns true if the owner of `identity` signed this number. */
export const verifyReservation = (
  identity: IdentityKey,
  reservation: Reservation,
  signature: Uint8Array,
  verify?: Verify,
): boolean => verifySigned(identity, labels.reservation, encodeFields(reservation), signature, verify)
