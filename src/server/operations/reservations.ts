import { encodeReservation } from '../../crypto/keys/reservation.ts'
import { ProtocolError } from '../../protocol/errors.ts'
import { limits } from '../../protocol/limits.ts'
import type { Username } from '../../protocol/names.ts'
import { verifyEd25519InPool } from '../base/ed25519.ts'
import type { NodeContext } from '../node/node-context.ts'
import type { Reserved } from '../store/store.ts'
import { decodeField } from './login.ts'
import { ownerOf } from './signed.ts'

type Request = { upTo: number; signature?: string | undefined }

/**
 * Raises the number that the caller has reserved. Without a signature, as from older clients, it rises by a small step
 * a call and up to a bound: a finder of a token must not be able to use it up.
 * @throws {ProtocolError} `bad_frame` for a wrong signature, or a number that no state reaches
 */
export async function reserve(node: NodeContext, username: Username, { upTo, signature }: Request): Promise<Reserved> {
  if (signature === undefined) return node.store.inboxes.reserve(username, upTo)
  if (upTo > limits.maxSignedSteps) throw new ProtocolError('bad_frame', `upTo is above ${limits.maxSignedSteps}`)
  const { identity, address } = await ownerOf(node, username)
  const message = encodeReservation({ address, upTo })
  if (!(await verifyEd25519InPool(identity, message, decodeField('signature', signature))))
    throw new ProtocolError('bad_frame', 'signature is not by the key of this user')
  return node.store.inboxes.reserve(username, upTo, signature)
}
