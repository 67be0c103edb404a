import { signRelayAuth } from '../crypto/relay-auth.ts'
import { ProtocolError } from '../protocol/errors.ts'
import type { ServerFrameOf } from '../protocol/frames.ts'
import { decodeBase64Url, encodeBase64Url } from '../util/bytes.ts'
import type { Self } from './account.ts'
import { DomainMismatchError, ServerFaultError } from './errors.ts'
import type { Link } from './link.ts'

type Authenticated = ServerFrameOf<'authenticated'>
type Proof = { link: Link; self: Self; newId: () => string }

/** Signs the nonce, if the server is who we expect: docs/PROTOCOL.md section 5. */
async function sign({ link, self }: Proof, purpose: 'register' | 'authenticate'): Promise<string> {
  const { nonce, domain } = await link.challenge()
  if (domain !== self.domain) throw new DomainMismatchError(self.domain, domain)
  const { identity, username } = self
  return encodeBase64Url(signRelayAuth(identity, { purpose, domain, username, nonce: decodeBase64Url(nonce) }))
}

function checkName(answer: Authenticated, self: Self): Authenticated {
  if (answer.username === self.username) return answer
  throw new ServerFaultError(`the server logged ${self.username} in as ${answer.username}`)
}

/** Claims the name for the key; with the same key again it is a login. */
export async function register(proof: Proof, invite?: string): Promise<Authenticated> {
  const { link, self, newId } = proof
  const signature = await sign(proof, 'register')
  const identity = encodeBase64Url(self.identity.publicKey)
  const request = { type: 'register', id: newId(), username: self.username, identity, signature } as const
  return checkName(await link.request(invite === undefined ? request : { ...request, invite }), self)
}

/** Logs in with the token kept from last time; `null` when it has ended, and a signature is asked for. */
export async function resume({ link, self, newId }: Proof, token: string): Promise<Authenticated | null> {
  try {
    return checkName(await link.request({ type: 'authenticate', id: newId(), token }), self)
  } catch (error) {
    if (error instanceof ProtocolError && error.code === 'unauthorized') return null
    throw error
  }
}

/** Logs in with a signature. */
export async function authenticate(proof: Proof): Promise<Authenticated> {
  const { link, self, newId } = proof
  const signature = await sign(proof, 'authenticate')
  return checkName(await link.request({ type: 'authenticate', id: newId(), username: self.username, signature }), self)
}
