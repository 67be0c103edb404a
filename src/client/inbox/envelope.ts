import { sha256 } from '../../crypto/primitives.ts'
import type { ServerFrameOf } from '../../protocol/frames.ts'
import { type Address, formatAddress, parseUsername, type Username } from '../../protocol/names.ts'
import { decodeBase64Url, encodeUtf8, toHex } from '../../util/bytes.ts'

/** What a node pushes while it is listened to. */
export type Push = ServerFrameOf<'message'> | ServerFrameOf<'key_exchange'>

/** One pushed body and whom the node names as its sender. `hash` names the body: 16 bytes of SHA-256, hex. */
export type Envelope = { from: Username; address: Address; frameType: Push['type']; body: Uint8Array; hash: string }

/** @throws {ProtocolError} `invalid_username` for a sender that cannot be. */
export const toEnvelope = ({ from, body, type }: Pick<Push, 'from' | 'body' | 'type'>, domain: string): Envelope => {
  const username = parseUsername(from)
  const bytes = bytesOf(body)
  const hash = toHex(sha256(bytes).subarray(0, 16))
  return { from: username, address: formatAddress(username, domain), frameType: type, body: bytes, hash }
}

/** What is no base64url is kept as it came, and refused like any other body that is none. */
function bytesOf(body: string): Uint8Array {
  try {
    return decodeBase64Url(body)
  } catch {
    return encodeUtf8(body)
  }
}
