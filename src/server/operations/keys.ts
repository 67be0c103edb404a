import type { IdentityKey } from '../../crypto/identity-key.ts'
import { type Bundle, decodeBundle, verifyKemKey } from '../../crypto/keys/bundle.ts'
import { ProtocolError } from '../../protocol/errors.ts'
import { parseRecipient, type Username } from '../../protocol/names.ts'
import { verifyEd25519 } from '../base/ed25519.ts'
import type { NodeContext } from '../node/node-context.ts'
import type { FetchedKeys, KeyUpload, OneTimeKemKey, OneTimeKey, Published } from '../store/store.ts'
import { decodeField } from './login.ts'
import { checkOwner, type Owner, ownerOf, readSigned } from './signed.ts'

type Upload = {
  bundle?: string | undefined
  oneTimeKeys?: readonly OneTimeKey[] | undefined
  oneTimeKemKeys?: readonly OneTimeKemKey[] | undefined
  replace?: boolean | undefined
}

/**
 * Stores keys after checking every signature with the key that the name is registered with.
 * @throws {ProtocolError} `bad_frame` with the field; `conflict` if the bundle is older than the stored bundle
 */
export async function publishKeys(node: NodeContext, username: Username, upload: Upload): Promise<Published> {
  const owner = await ownerOf(node, username)
  const bundle = upload.bundle === undefined ? undefined : readBundle(upload.bundle, owner)
  for (const { key } of upload.oneTimeKeys ?? []) decodeField('oneTimeKeys', key)
  for (const key of upload.oneTimeKemKeys ?? []) checkKemKey(owner.identity, key)
  const counts = await node.store.keys.publish(username, toStored(upload, bundle))
  if (counts === 'conflict') throw new ProtocolError('conflict', 'the bundle is older than the stored bundle')
  return counts
}

/**
 * Returns the bundle and at most one key of each pool.
 * @throws {ProtocolError} `invalid_username`, `unknown_user`, `forbidden`, `no_keys`, `rate_limited`
 */
export async function fetchKeys(
  node: NodeContext,
  requester: Username,
  name: string,
  id: string,
): Promise<FetchedKeys & { username: Username }> {
  const username = parseRecipient(name, node.config.domain)
  await node.userRates.spendFetch(requester)
  const keys = await node.store.keys.fetch(username, requester, id)
  if (keys === 'unknown_user') throw new ProtocolError('unknown_user', 'no such user')
  if (keys === 'forbidden') throw new ProtocolError('forbidden', 'this user does not accept messages from you')
  if (keys === 'no_keys') throw new ProtocolError('no_keys', 'the user has published no bundle')
  return { username, ...keys }
}

function readBundle(text: string, owner: Owner): Bundle {
  const bundle = readSigned('bundle', text, decodeBundle)
  checkOwner('bundle', bundle, owner)
  return bundle
}

function checkKemKey(identity: IdentityKey, { key, signature }: OneTimeKemKey): void {
  const [keyBytes, signatureBytes] = [decodeField('oneTimeKemKeys', key), decodeField('oneTimeKemKeys', signature)]
  if (!verifyKemKey(identity, keyBytes, signatureBytes, verifyEd25519)) {
    throw new ProtocolError('bad_frame', 'oneTimeKemKeys has a wrong signature')
  }
}

const toStored = (
  { bundle, oneTimeKeys, oneTimeKemKeys, replace }: Upload,
  checked: Bundle | undefined,
): KeyUpload => ({
  ...(bundle !== undefined && checked && { bundle: { text: bundle, counter: checked.seq } }),
  ...(oneTimeKeys && { oneTimeKeys: oneTimeKeys.map(({ id, key }) => ({ id, key })) }),
  ...(oneTimeKemKeys && {
    oneTimeKemKeys: oneTimeKemKeys.map(({ id, key, signature }) => ({ id, key, signature })),
  }),
  ...(replace === true && { replace }),
})
