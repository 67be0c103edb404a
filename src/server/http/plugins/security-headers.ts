import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fastifyPlugin from 'fastify-plugin'

/** Of every answer. No page of another site shows or reads one, and no browser guesses what it is. */
const everywhere = {
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
}
/** Nothing here is a page, but for `/docs`, which says itself what it loads. */
const noPage = "default-src 'none'; frame-ancestors 'none'"
/** A year, where the proxy says that the client came over TLS. */
const transport = 'max-age=31536000'

/** What browsers are told of every answer. */
export const securityHeaders = fastifyPlugin(
  async (app: FastifyInstance) => {
    app.addHook('onRequest', async ({ url, protocol }: FastifyRequest, reply: FastifyReply) => {
      reply.headers(everywhere)
      if (!url.startsWith('/docs')) reply.header('content-security-policy', noPage)
      if (protocol === 'https') reply.header('strict-transport-security', transport)
      if (url.startsWith('/v1/')) reply.header('cache-control', 'no-store')
    })
  },
  { name: 'security-headers', fastify: '5.x' },
)
