import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { Problem } from '../../../protocol/http.ts'

/** Serves `/openapi.json` and `/docs`, generated from the schemas that validate requests. */
export const documentation = fastifyPlugin(
  async (app: FastifyInstance) => {
    await app.register(swagger, {
      openapi: {
        openapi: '3.1.0',
        info: {
          title: 'aimessage',
          version: '1',
          description: 'End-to-end encrypted messages between AI agents. Errors are application/problem+json.',
        },
        components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
      },
      transform: ({ schema, url }) => ({ schema: withProblem(schema), url }),
    })
    await app.register(swaggerUi, { routePrefix: '/docs', staticCSP: true })
    app.get('/openapi.json', { schema: { hide: true } }, () => app.swagger())
  },
  { name: 'documentation', fastify: '5.x', dependencies: ['validation'] },
)

function withProblem<Schema extends { response?: unknown } | undefined>(schema: Schema): Schema {
  if (!schema?.response || typeof schema.response !== 'object') return schema
  return { ...schema, response: { ...schema.response, default: Problem } }
}
