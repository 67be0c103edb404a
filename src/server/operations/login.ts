import { CryptoError } from '../../crypto/errors.ts'
import type { IdentityKey } from '../../crypto/identity-key.ts'
import { checkIdentityKey, trustedIdentityKey } from '../../crypto/keys/identity.ts'
import { encodeRelayAuth, type RelayAuth } from '../../crypto/keys/relay-auth.ts'
import { ProtocolError } from '../../protocol/errors.ts'
import { parseUsername, type Username } from '../../protocol/names.ts'
import { decodeBase64Url, encodeBase64Url } from '../../util/bytes.ts'
import { siteKey } from '../base/address-key.ts'
import { verifyEd25519InPool } from '../base/ed25519.ts'
import { generateSecret, hashSecret } from '../base/secrets.ts'
import type { NodeContext } from '../node/node-context.ts'
import type { TokenHash } from '../store/ids.ts'
import type { InviteRule } from '../store/store.ts'

/** A login. The client keeps `token`; nodes store its hash. */
export type Login = { username: Username; token: string; tokenHash: TokenHash; expiresAt: number }

type Proof = { username: string; nonce: string; signature: string }
type Registration = Proof & {
  identity: string
  invite?: string | undefined
  /** The caller owned the name, and this deployment may have lost it. A deleted user stays deleted. */
  again?: boolean | undefined
}

const blocked = () => new ProtocolError('forbidden', 'an operator blocked this user')
const wrongProof = () => new ProtocolError('unauthorized', 'the proof is wrong')

/**
 * Registers a free name for a key, and logs in. If the name has this key already, only logs in. The caller must have
 * used up the nonce.
 * @throws {ProtocolError} `invalid_username`, `unauthorized`, `username_taken`, `forbidden`, `rate_limited`;
 * `unknown_user` for `again` if the user was deleted
 */
export async function register(
  node: NodeContext,
  address: string,
  request: Registration,
): Promise<Login & { created: boolean }> {
  const username = parseUsername(request.username)
  node.userRates.checkRegistrations(address)
  const key = decodeField('identity', request.identity)
  await checkProof(node, 'register', { ...request, username, identity: trustedIdentityKey(key) })
  await node.userRates.spendRegistration(address)
  // It blocks the event loop for 3 ms, so the cheaper checks come first. Until then the key serves only its own proof.
  checkKey(key)
  const rule = inviteRule(node, request.invite)
  const outcome = await node.store.users.register(
    username,
    request.identity,
    rule,
    request.again ? 'loss' : 'deletion',
    siteKey(address),
  )
  if (outcome === 'taken') throw new ProtocolError('username_taken', 'another key owns the name')
  if (outcome === 'blocked') throw blocked()
  if (outcome === 'deleted') throw new ProtocolError('unknown_user', 'this user was deleted')
  if (outcome === 'forbidden') throw new ProtocolError('forbidden', 'registration is not open to this caller')
  return { ...(await createSession(node, username, address)), created: outcome === 'created' }
}

/**
 * Logs in with a signed nonce. An unknown name and a wrong key cost the same and get the same error.
 * @throws {ProtocolError} `invalid_username`, `unauthorized`; `forbidden` if an operator blocked the user
 */
export async function login(node: NodeContext, address: string, request: Proof): Promise<Login> {
  const username = parseUsername(request.username)
  await checkOwnProof(node, 'authenticate', { ...request, username })
  return createSession(node, username, address)
}

/**
 * Resumes the login of a token.
 * @throws {ProtocolError} `unauthorized`
 */
export async function resume(node: NodeContext, token: string): Promise<Login> {
  const tokenHash = hashSecret(token)
  const session = await node.store.logins.find(tokenHash)
  if (!session || session.expiresAt <= node.store.now()) throw new ProtocolError('unauthorized', 'no such login')
  return { ...session, token, tokenHash }
}

/**
 * Checks a proof with the key that the name is registered with. Only the owner of the key learns that it is blocked.
 */
export async function checkOwnProof(
  node: NodeContext,
  purpose: RelayAuth['purpose'],
  { username, nonce, signature }: { username: Username; nonce: string; signature: string },
): Promise<void> {
  const user = await node.store.users.find(username)
  const identity = trustedIdentityKey(decodeBase64Url(user?.identity ?? dummyKey))
  await checkProof(node, purpose, { username, identity, nonce, signature })
  if (!user) throw wrongProof()
  if (user.blocked) throw blocked()
}

/**
 * Dummy public key (the base point), verified against for unknown names: timing must not reveal whether a name exists.
 */
const dummyKey = encodeBase64Url(Uint8Array.of(0x58, ...new Array<number>(31).fill(0x66)))

async function checkProof(
  node: NodeContext,
  purpose: RelayAuth['purpose'],
  proof: { username: Username; identity: IdentityKey; nonce: string; signature: string },
): Promise<void> {
  const { username, identity } = proof
  const nonce = decodeField('nonce', proof.nonce)
  const signature = decodeField('signature', proof.signature)
  const message = encodeRelayAuth({ purpose, domain: node.config.domain, username, identity, nonce })
  if (!(await verifyEd25519InPool(identity, message, signature))) throw wrongProof()
}

function checkKey(bytes: Uint8Array): void {
  try {
    checkIdentityKey(bytes)
  } catch (error) {
    if (error instanceof CryptoError) throw new ProtocolError('unauthorized', 'identity is not a usable Ed25519 key')
    throw error
  }
}

/** The schema checked alphabet and length. This rejects a second encoding of the same bytes. */
export function decodeField(name: string, text: string): Uint8Array {
  try {
    return decodeBase64Url(text)
  } catch {
    throw new ProtocolError('bad_frame', `${name} must be canonical base64url`)
  }
}

function inviteRule({ config }: NodeContext, invite: string | undefined): InviteRule {
  if (config.registration !== 'invite') return { kind: config.registration }
  return { kind: 'invite', inviteHash: invite && hashSecret(invite) }
}

async function createSession(node: NodeContext, username: Username, address: string): Promise<Login> {
  const token = generateSecret()
  const tokenHash = hashSecret(token)
  const { expiresAt } = await node.store.logins.create(tokenHash, username, node.config.sessionTtlMs, siteKey(address))
  return { username, token, tokenHash, expiresAt }
}
