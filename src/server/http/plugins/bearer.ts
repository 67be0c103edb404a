import type { FastifyInstance, FastifyRequest } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { ProtocolError } from '../../../protocol/errors.ts'
import type { NodeContext } from '../../node/node-context.ts'
import { type Login, resume } from '../../operations/login.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** @throws {ProtocolError} `unauthorized` on a route without `bearer`. */
    getLogin(): Login
  }
  interface FastifyInstance {
    /**
     * Hook for routes that need `Authorization: Bearer TOKEN`. `cost` is counted against the rate of the user's calls.
     */
    bearer(request: FastifyRequest, cost?: number): Promise<void>
  }
}

const bearerPattern = /^Bearer ([A-Za-z0-9_-]{43})$/i

/** Authenticates the caller. A token is accepted from the `Authorization` header only. */
export const bearer = fastifyPlugin<{ node: NodeContext }>(
  async (app: FastifyInstance, { node }) => {
    const logins = new WeakMap<FastifyRequest, Login>()

    app.decorate('bearer', async (request: FastifyRequest, cost = 1) => {
      const token = bearerPattern.exec(request.headers.authorization ?? '')?.[1]
      if (!token) throw new ProtocolError('unauthorized', 'this route needs Authorization: Bearer TOKEN')
      const login = await resume(node, token)
      await node.userRates.spendCall(login.username, cost)
      node.lastSeen.note(login.username)
      logins.set(request, login)
    })

    app.decorateRequest('getLogin', function (this: FastifyRequest): Login {
      const login = logins.get(this)
      if (!login) throw new ProtocolError('unauthorized', 'not logged in')
      return login
    })
  },
  { name: 'bearer', fastify: '5.x', dependencies: ['problems'] },
)
