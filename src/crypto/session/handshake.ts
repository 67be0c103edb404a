import { concatBytes, encodeUtf8 } from '../../util/bytes.ts'
import { u8, u16, vec8 } from '../encoding/byte-writer.ts'
import { encodeKemKey } from '../keys/bundle.ts'
import { encodeIdentityKey, type Self } from '../keys/identity.ts'
import { labels } from '../labels.ts'
import { encodePrekeyHeader, type PrekeyHeader } from '../messages/message.ts'
import {
  decapsulateKem,
  encapsulateKem,
  hkdfSha256,
  kemKeyPair,
  sha256,
  toX25519PrivateKey,
  toX25519PublicKey,
  wipe,
  x25519PublicKey,
  x25519SharedSecret,
} from '../provider.ts'
import type { Suite } from '../suites.ts'

/** The result of X3DH or PQXDH, equal on both sides. The caller wipes `sharedSecret`. */
type Agreement = {
  readonly sid: Uint8Array
  readonly sharedSecret: Uint8Array
  readonly associatedData: Uint8Array
}
type PublicPrekey = { readonly id: number; readonly key: Uint8Array }

/** The responder's public keys that the initiator uses. With `kem` the suite is 2, otherwise 1. */
type ResponderKeys = {
  readonly identity: Uint8Array
  readonly address: string
  readonly signedPrekey: PublicPrekey
  readonly oneTimeKey: PublicPrekey | undefined
  readonly kem: PublicPrekey | undefined
}
/** The responder's private keys that a prekey header names. `kemSeed` is set in suite 2 only. */
export type ResponderSecrets = {
  readonly signedPrekey: Uint8Array
  readonly oneTimeKey: Uint8Array | undefined
  readonly kemSeed: Uint8Array | undefined
}

const zeros32 = new Uint8Array(32)
const ones32 = new Uint8Array(32).fill(0xff)

/** SHA-256(label || 00 || IK_B || prekey header), 16 bytes (docs/E2E.md section 5). */
export const sessionId = (responder: Uint8Array, prekeyHeader: Uint8Array): Uint8Array =>
  sha256(encodeUtf8(labels.sessionId), u8(0), responder, prekeyHeader).slice(0, 16)

/** Derives SK from `secrets`: DH1 to DH4 and SS in this order. Wipes them. */
function deriveSharedSecret(suite: Suite, secrets: readonly Uint8Array[]): Uint8Array {
  const input = concatBytes(ones32, ...secrets)
  const sharedSecret = hkdfSha256(zeros32, input, encodeUtf8(labels.sharedSecret[suite]), 32)
  wipe(input, ...secrets)
  return sharedSecret
}

type Binding = {
  suite: Suite
  initiator: { identity: Uint8Array; address: string }
  responder: { identity: Uint8Array; address: string }
  kemKey: Uint8Array | undefined
  sid: Uint8Array
}

/** AD binds both identity keys in Ed25519 form, both addresses, the suite, the KEM key and the session id. */
function encodeAssociatedData({ suite, initiator, responder, kemKey, sid }: Binding): Uint8Array {
  return concatBytes(
    encodeIdentityKey(initiator.identity),
    encodeIdentityKey(responder.identity),
    u8(1),
    u16(suite),
    vec8(encodeUtf8(initiator.address)),
    vec8(encodeUtf8(responder.address)),
    ...(kemKey ? [sha256(encodeKemKey(kemKey))] : []),
    sid,
  )
}

/**
 * The initiator's side of X3DH 3.3 and PQXDH 3.3. The caller has checked the signatures.
 * Wipes `ephemeral` and `kemRandomness` (32 bytes each).
 * @throws {CryptoError} `bad_key` on a low-order or non-canonical key.
 */
export function initiate(
  self: Self,
  responder: ResponderKeys,
  ephemeral: Uint8Array,
  kemRandomness: Uint8Array,
): Agreement & { prekeyHeader: Uint8Array } {
  const identitySecret = toX25519PrivateKey(self.identity.seed)
  const { signedPrekey, oneTimeKey, kem } = responder
  const encapsulated = kem && encapsulateKem(kem.key, kemRandomness)
  const suite = kem ? 2 : 1
  const prekeyHeader = encodePrekeyHeader({
    suite,
    identity: self.identity.publicKey,
    ephemeral: x25519PublicKey(ephemeral),
    signedPrekeyId: signedPrekey.id,
    oneTimeKeyId: oneTimeKey?.id ?? 0,
    kem: kem && encapsulated ? { id: kem.id, ciphertext: encapsulated.ciphertext } : null,
  })
  const sharedSecret = deriveSharedSecret(suite, [
    x25519SharedSecret(identitySecret, signedPrekey.key),
    x25519SharedSecret(ephemeral, toX25519PublicKey(responder.identity)),
    x25519SharedSecret(ephemeral, signedPrekey.key),
    ...(oneTimeKey ? [x25519SharedSecret(ephemeral, oneTimeKey.key)] : []),
    ...(encapsulated ? [encapsulated.secret] : []),
  ])
  wipe(identitySecret, ephemeral, kemRandomness)
  const sid = sessionId(responder.identity, prekeyHeader)
  const initiator = { identity: self.identity.publicKey, address: self.address }
  const associatedData = encodeAssociatedData({ suite, initiator, responder, kemKey: kem?.key, sid })
  return { sid, sharedSecret, associatedData, prekeyHeader }
}

/**
 * The responder's side. The caller has checked the initiator's identity key, or compared it with the pinned one.
 * @throws {CryptoError} `bad_key` on a low-order or non-canonical key.
 */
export function respond(
  self: Self,
  initiatorAddress: string,
  header: PrekeyHeader,
  sid: Uint8Array,
  secrets: ResponderSecrets,
): Agreement {
  const identitySecret = toX25519PrivateKey(self.identity.seed)
  const kemPair = secrets.kemSeed && kemKeyPair(secrets.kemSeed)
  const sharedSecret = deriveSharedSecret(header.suite, [
    x25519SharedSecret(secrets.signedPrekey, toX25519PublicKey(header.identity)),
    x25519SharedSecret(identitySecret, header.ephemeral),
    x25519SharedSecret(secrets.signedPrekey, header.ephemeral),
    ...(secrets.oneTimeKey ? [x25519SharedSecret(secrets.oneTimeKey, header.ephemeral)] : []),
    ...(kemPair && header.kem ? [decapsulateKem(header.kem.ciphertext, kemPair.secretKey)] : []),
  ])
  const associatedData = encodeAssociatedData({
    suite: header.suite,
    initiator: { identity: header.identity, address: initiatorAddress },
    responder: { identity: self.identity.publicKey, address: self.address },
    kemKey: kemPair?.publicKey,
    sid,
  })
  wipe(identitySecret, ...(kemPair ? [kemPair.secretKey] : []))
  return { sid, sharedSecret, associatedData }
}
