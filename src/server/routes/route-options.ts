import type { FastifyInstance } from 'fastify'
import type { HttpRoute } from '../../protocol/http.ts'

/** What follows from a route's row in the table besides its schema. */
export function routeOptions(app: FastifyInstance, { auth }: HttpRoute) {
  return auth ? { onRequest: app.bearer } : {}
}
