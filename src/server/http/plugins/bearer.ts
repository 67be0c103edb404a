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
    /** A hook for routes that need `Authorization: Bearer TOKEN`; `cost` is what the call counts against its user's rate. */
    bearer(request: FastifyRequest, cost?: number): Promise<void>
  }
}

const bearerPattern = /^Bearer ([A-Za-z0-9_-]{43})$/i

/** Who calls. The header is the only place a token is taken from. */
export const bearer = fastifyPlugin<{ node: NodeContext }>(
  async (app: FastifyInstance, { node }) => {
    const sessions = new WeakMap<FastifyRequest, Login>()

    app.decorate('bearer', async (request: FastifyRequest, cost = 1) => {
      const token = bearerPattern.exec(request.headers.authorization ?? '')?.[1]
      if (!token) throw new ProtocolError('unauthorized', 'this needs Authorization: Bearer TOKEN')
      const session = await resume(node, token)
      await node.userRates.spendCall(session.username, cost)
      sessions.set(request, session)
    })

    app.decorateRequest('getLogin', function (this: FastifyRequest): Login {
      const session = sessions.get(this)
      if (!session) throw new ProtocolError('unauthorized', 'not logged in')
      return session
    })
  },
  { name: 'bearer', fastify: '5.x', dependencies: ['problems'] },
)
