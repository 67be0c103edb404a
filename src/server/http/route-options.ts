import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { HttpRoute } from '../../protocol/http.ts'

/** Returns the hook that the route's row in the HTTP table asks for. */
export function routeOptions(app: FastifyInstance, { auth }: HttpRoute, cost = 1) {
  return auth ? { onRequest: (request: FastifyRequest) => app.bearer(request, cost) } : {}
}
