import { sha256 } from '../../crypto/provider.ts'
import type { ServerFrameOf } from '../../protocol/frames.ts'
import { type Address, formatAddress, parseUsername, type Username } from '../../protocol/names.ts'
import { decodeBase64Url, encodeUtf8, toHex } from '../../util/bytes.ts'

/** A frame that a node pushes to a listener. */
export type Push = ServerFrameOf<'message'> | ServerFrameOf<'key_exchange'>

/** A pushed body and the sender that the node names. `hash` identifies the body: 16 bytes of SHA-256, hex. */
export type Envelope = { from: Username; address: Address; frameType: Push['type']; body: Uint8Array; hash: string }

/** @throws {ProtocolError} `invalid_username` if the node names a sender that is not a valid name. */
export const toEnvelope = ({ from, body, type }: Pick<Push, 'from' | 'body' | 'type'>, domain: string): Envelope => {
  const username = parseUsername(from)
  const bytes = bytesOf(body)
  const hash = toHex(sha256(bytes).subarray(0, 16))
  return { from: username, address: formatAddress(username, domain), frameType: type, body: bytes, hash }
}

/** A body that is not base64url becomes its UTF-8 bytes, which are then rejected like any other malformed body. */
function bytesOf(body: string): Uint8Array {
  try {
    return decodeBase64Url(body)
  } catch {
    return encodeUtf8(body)
  }
}
