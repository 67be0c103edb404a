import { type CardContent, isCardContent } from '../../protocol/card.ts'
import { limits } from '../../protocol/limits.ts'
import { concatBytes, decodeUtf8, encodeUtf8 } from '../../util/bytes.ts'
import { type ByteReader, readAll } from '../encoding/byte-reader.ts'
import { u8, u64, vec8, vec16 } from '../encoding/byte-writer.ts'
import { CryptoError } from '../errors.ts'
import type { IdentityKey } from '../identity-key.ts'
import { labels } from '../labels.ts'
import type { Verify } from '../provider.ts'
import { readAddress } from './bundle.ts'
import { checkIdentityKey, type IdentityKeyPair, sign, verifySigned } from './identity.ts'

/** An agent's description of itself, signed with its identity key (docs/E2E.md section 14). */
export type Card = {
  readonly address: string
  readonly identity: IdentityKey
  /** Higher in each new card of this identity. */
  readonly seq: number
  readonly content: CardContent
}

const signatureBytes = 64

/** Keeps the known members only, so that nothing else is signed, stored or shown. */
function pick({ title, description, version, capabilities, acceptsRequests }: CardContent): CardContent {
  return {
    title,
    ...(description !== undefined && { description }),
    ...(version !== undefined && { version }),
    capabilities,
    acceptsRequests,
  }
}

/** @throws {CryptoError} `malformed` if the value is not valid card content. */
export function checkCardContent(value: unknown): CardContent {
  if (!isCardContent(value)) throw new CryptoError('malformed')
  return pick(value)
}

/**
 * Encodes and signs a card. `card.identity` must be the public key of `identity`.
 * @throws {CryptoError} `malformed`, `too_large`
 */
export function encodeCard(identity: IdentityKeyPair, { address, seq, content }: Card): Uint8Array {
  const text = encodeUtf8(JSON.stringify(checkCardContent(content)))
  const signed = concatBytes(u8(1), vec8(encodeUtf8(address)), identity.publicKey, u64(seq), vec16(text))
  const card = concatBytes(signed, sign(identity, labels.card, signed))
  if (card.length > limits.maxCardBytes) throw new CryptoError('too_large')
  return card
}

function readContent(reader: ByteReader): CardContent {
  try {
    return checkCardContent(JSON.parse(decodeUtf8(reader.vec16())))
  } catch {
    throw new CryptoError('malformed')
  }
}

function readSigned(reader: ByteReader): Card {
  reader.expect(1)
  return {
    address: readAddress(reader),
    identity: checkIdentityKey(reader.take(32)),
    seq: reader.u64(),
    content: readContent(reader),
  }
}

/**
 * Decodes a card and checks its structure, its identity key and its signature.
 * The caller compares the address, the pinned key and `seq`.
 * @throws {CryptoError} `malformed`, `bad_key` or `bad_card`
 */
export function decodeCard(bytes: Uint8Array, verify?: Verify): Card {
  if (bytes.length < signatureBytes || bytes.length > limits.maxCardBytes) throw new CryptoError('malformed')
  const signed = bytes.subarray(0, -signatureBytes)
  const card = readAll(signed, readSigned)
  if (!verifySigned(card.identity, labels.card, signed, bytes.subarray(-signatureBytes), verify)) {
    throw new CryptoError('bad_card')
  }
  return card
}
