import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { HttpRoute } from '../../protocol/http.ts'

/** What follows from a route's row in the table besides its schema. */
export function routeOptions(app: FastifyInstance, { auth }: HttpRoute, cost = 1) {
  return auth ? { onRequest: (request: FastifyRequest) => app.bearer(request, cost) } : {}
}
