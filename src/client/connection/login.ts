import { signRelayAuth } from '../../crypto/keys/relay-auth.ts'
import { ProtocolError } from '../../protocol/errors.ts'
import type { ServerFrameOf } from '../../protocol/frames.ts'
import { decodeBase64Url, encodeBase64Url, isBase64Url } from '../../util/bytes.ts'
import { DomainMismatchError, ServerFaultError } from '../base/errors.ts'
import type { Self } from './identity.ts'
import type { Link } from './link.ts'

export type Authenticated = ServerFrameOf<'authenticated'>
export type Proof = { link: Link; self: Self }

/**
 * Waits for the server's challenge and returns its nonce. Neither a signature nor a token is sent to a server of
 * another domain: docs/PROTOCOL.md section 5.
 * @throws {DomainMismatchError}
 */
async function challenge({ link, self }: Proof): Promise<Uint8Array> {
  const { nonce, domain } = await link.challenge()
  if (domain !== self.domain) throw new DomainMismatchError(self.domain, domain)
  if (!isBase64Url(nonce)) throw new ServerFaultError('the nonce of the server is not base64url')
  return decodeBase64Url(nonce)
}

async function sign(proof: Proof, purpose: 'register' | 'authenticate'): Promise<string> {
  const nonce = await challenge(proof)
  const { identity, username, domain } = proof.self
  return encodeBase64Url(signRelayAuth(identity, { purpose, domain, username, nonce }))
}

function checkName(answer: Authenticated, self: Self): Authenticated {
  if (answer.username === self.username) return answer
  throw new ServerFaultError(`the server logged ${self.username} in under another name`, {
    serverSaid: answer.username,
  })
}

/**
 * Claims the name for the key. A repeated registration with the same key is a login.
 * @param options with `again`, a deleted name is not claimed: the server answers `unknown_user`.
 * @throws {ProtocolError}
 */
export async function register(proof: Proof, options: { invite?: string; again?: true } = {}): Promise<Authenticated> {
  const { link, self } = proof
  const signature = await sign(proof, 'register')
  const identity = encodeBase64Url(self.identity.publicKey)
  const request = { type: 'register', username: self.username, identity, signature, ...options } as const
  return checkName(await link.request(request), self)
}

/** Logs in with the token of the last login. @returns null if the token has ended and a signature is needed */
export async function resume(proof: Proof, token: string): Promise<Authenticated | null> {
  const { link, self } = proof
  await challenge(proof)
  try {
    return checkName(await link.request({ type: 'authenticate', token }), self)
  } catch (error) {
    if (error instanceof ProtocolError && error.code === 'unauthorized') return null
    throw error
  }
}

/** Logs in with a signature. */
export async function authenticate(proof: Proof): Promise<Authenticated> {
  const { link, self } = proof
  const signature = await sign(proof, 'authenticate')
  return checkName(await link.request({ type: 'authenticate', username: self.username, signature }), self)
}
