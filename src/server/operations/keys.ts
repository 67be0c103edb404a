import { type Bundle, decodeBundle, verifyKemKey } from '../../crypto/bundle.ts'
import { CryptoError } from '../../crypto/errors.ts'
import { type IdentityKey, trustedIdentityKey } from '../../crypto/identity.ts'
import { ProtocolError } from '../../protocol/errors.ts'
import { formatAddress, parseRecipient, type Username } from '../../protocol/names.ts'
import { decodeBase64Url, encodeBase64Url } from '../../util/bytes.ts'
import { verifyEd25519 } from '../ed25519.ts'
import type { RelayNode } from '../relay-node.ts'
import type { FetchedKeys, KeyCounts, KeyUpload, OneTimeKemKey, OneTimeKey } from '../store/store.ts'
import { decodeField } from './session.ts'

export type Upload = {
  bundle?: string | undefined
  oneTimeKeys?: readonly OneTimeKey[] | undefined
  oneTimeKemKeys?: readonly OneTimeKemKey[] | undefined
}

/**
 * Takes keys from their owner once every signature is right, by the key the name is registered with.
 * @throws {ProtocolError} `bad_frame` with the field, `conflict` for a bundle older than the one here
 */
export async function publishKeys(node: RelayNode, username: Username, upload: Upload): Promise<KeyCounts> {
  const identity = await ownIdentity(node, username)
  const bundle = upload.bundle === undefined ? undefined : checkBundle(node, username, identity, upload.bundle)
  for (const { key } of upload.oneTimeKeys ?? []) decodeField('oneTimeKeys', key)
  for (const key of upload.oneTimeKemKeys ?? []) checkKemKey(identity, key)
  const counts = await node.store.publishKeys(username, toStored(upload, bundle))
  if (counts === 'conflict') throw new ProtocolError('conflict', 'the bundle is older than the one here')
  return counts
}

/**
 * A bundle and at most one key of either pool.
 * @throws {ProtocolError} `invalid_username`, `unknown_user`, `no_keys`, `rate_limited`
 */
export async function fetchKeys(
  node: RelayNode,
  requester: Username,
  name: string,
  id: string,
): Promise<FetchedKeys & { username: Username }> {
  const username = parseRecipient(name, node.config.domain)
  const keys = await node.store.fetchKeys(username, requester, id)
  if (keys === 'unknown_user') throw new ProtocolError('unknown_user', 'no such user')
  if (keys === 'no_keys') throw new ProtocolError('no_keys', 'the user has published no bundle')
  if (keys === 'rate_limited') throw new ProtocolError('rate_limited', 'too many fetches', { retryAfter: fetchRetryS })
  return { username, ...keys }
}

/** Fetches are counted per minute. */
const fetchRetryS = 60

async function ownIdentity(node: RelayNode, username: Username): Promise<IdentityKey> {
  const user = await node.store.findUser(username)
  if (!user) throw new ProtocolError('unauthorized', 'the user is gone')
  return trustedIdentityKey(decodeBase64Url(user.identity))
}

function checkBundle(node: RelayNode, username: Username, identity: IdentityKey, text: string): Bundle {
  const bundle = readBundle(decodeField('bundle', text))
  if (bundle.address !== formatAddress(username, node.config.domain)) {
    throw new ProtocolError('bad_frame', 'bundle is for another address')
  }
  if (encodeBase64Url(bundle.identity) !== encodeBase64Url(identity)) {
    throw new ProtocolError('bad_frame', 'bundle is of another identity key')
  }
  return bundle
}

function readBundle(bytes: Uint8Array): Bundle {
  try {
    return decodeBundle(bytes, verifyEd25519)
  } catch (error) {
    if (error instanceof CryptoError) throw new ProtocolError('bad_frame', 'bundle has a wrong form or signature')
    throw error
  }
}

function checkKemKey(identity: IdentityKey, { key, signature }: OneTimeKemKey): void {
  const [keyBytes, signatureBytes] = [decodeField('oneTimeKemKeys', key), decodeField('oneTimeKemKeys', signature)]
  if (!verifyKemKey(identity, keyBytes, signatureBytes, verifyEd25519)) {
    throw new ProtocolError('bad_frame', 'oneTimeKemKeys has a wrong signature')
  }
}

const toStored = ({ bundle, oneTimeKeys, oneTimeKemKeys }: Upload, checked: Bundle | undefined): KeyUpload => ({
  ...(bundle !== undefined && checked && { bundle: { text: bundle, counter: checked.seq } }),
  ...(oneTimeKeys && { oneTimeKeys: oneTimeKeys.map(({ id, key }) => ({ id, key })) }),
  ...(oneTimeKemKeys && {
    oneTimeKemKeys: oneTimeKemKeys.map(({ id, key, signature }) => ({ id, key, signature })),
  }),
})
