import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { ProtocolError } from '../../protocol/errors.ts'
import { httpRoutes } from '../../protocol/http.ts'
import { limits } from '../../protocol/limits.ts'
import { parseUsername } from '../../protocol/names.ts'
import { addressKey } from '../base/address-key.ts'
import { generateSecret } from '../base/secrets.ts'
import type { NodeContext } from '../node/node-context.ts'
import { type Login, login, register } from '../operations/login.ts'
import { routeOptions } from './route-options.ts'

/** Registration, login and logout (docs/PROTOCOL.md sections 5 and 10). */
export const authRoutes: FastifyPluginAsyncTypebox<{ node: NodeContext }> = async (app, { node }) => {
  const { challenge, register: registration, login: authentication, logout } = httpRoutes
  const onRequest = async (request: FastifyRequest) => node.addressRates.spend(addressKey(request.ip))

  app.post(challenge.path, { schema: challenge.schema, onRequest }, async request => {
    const nonce = generateSecret()
    await node.store.logins.putChallenge(nonce, parseUsername(request.body.username), limits.challengeTtlMs)
    return { nonce, domain: node.config.domain, expiresAt: node.store.now() + limits.challengeTtlMs }
  })

  app.post(registration.path, { schema: registration.schema, onRequest }, async (request, reply) => {
    await takeNonce(node, request.body)
    const registered = await register(node, addressKey(request.ip), request.body)
    node.lastSeen.loggedIn(registered.username)
    return reply.code(registered.created ? 201 : 200).send(toResponse(registered))
  })

  app.post(authentication.path, { schema: authentication.schema, onRequest }, async request => {
    await takeNonce(node, request.body)
    const authenticated = await login(node, addressKey(request.ip), request.body)
    node.lastSeen.loggedIn(authenticated.username)
    return toResponse(authenticated)
  })

  app.delete(logout.path, { schema: logout.schema, ...routeOptions(app, logout) }, async (request, reply) => {
    await node.store.logins.revoke(request.getLogin().tokenHash)
    return reply.code(204).send(null)
  })
}

const toResponse = ({ username, token, expiresAt }: Login) => ({ username, token, expiresAt })

/** Uses up the nonce, whatever the result of the attempt. */
async function takeNonce(node: NodeContext, { username, nonce }: { username: string; nonce: string }): Promise<void> {
  if (await node.store.logins.takeChallenge(nonce, parseUsername(username))) return
  throw new ProtocolError('unauthorized', 'the proof is wrong')
}
