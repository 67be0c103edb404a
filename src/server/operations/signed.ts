import { CryptoError } from '../../crypto/errors.ts'
import type { IdentityKey } from '../../crypto/identity-key.ts'
import { trustedIdentityKey } from '../../crypto/keys/identity.ts'
import type { Verify } from '../../crypto/provider.ts'
import { ProtocolError } from '../../protocol/errors.ts'
import { formatAddress, type Username } from '../../protocol/names.ts'
import { decodeBase64Url, encodeBase64Url } from '../../util/bytes.ts'
import { verifyEd25519 } from '../base/ed25519.ts'
import type { NodeContext } from '../node/node-context.ts'
import { decodeField } from './login.ts'

/** The owner of a signed value. */
export type Owner = { readonly address: string; readonly identity: IdentityKey }

/** Returns a user's address and registered key. @throws {ProtocolError} `unauthorized` if the user was deleted */
export async function ownerOf(node: NodeContext, username: Username): Promise<Owner> {
  const user = await node.store.users.find(username)
  if (!user) throw new ProtocolError('unauthorized', 'the user was deleted')
  const identity = trustedIdentityKey(decodeBase64Url(user.identity))
  return { address: formatAddress(username, node.config.domain), identity }
}

/** Decodes a signed field and checks its signature. @throws {ProtocolError} `bad_frame` */
export function readSigned<Signed>(
  field: string,
  text: string,
  decode: (bytes: Uint8Array, verify: Verify) => Signed,
): Signed {
  const bytes = decodeField(field, text)
  try {
    return decode(bytes, verifyEd25519)
  } catch (error) {
    if (error instanceof CryptoError) throw new ProtocolError('bad_frame', `${field} has a wrong form or signature`)
    throw error
  }
}

/** Checks that the publisher is the owner of the signed value. @throws {ProtocolError} `bad_frame` */
export function checkOwner(field: string, signed: Owner, owner: Owner): void {
  if (signed.address !== owner.address) throw new ProtocolError('bad_frame', `${field} is for another address`)
  if (encodeBase64Url(signed.identity) !== encodeBase64Url(owner.identity)) {
    throw new ProtocolError('bad_frame', `${field} has another identity key`)
  }
}
