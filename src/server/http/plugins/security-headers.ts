import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fastifyPlugin from 'fastify-plugin'

/** Sent with every response. No other site may embed or read it, and no browser guesses its content type. */
const everywhere = {
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
}
/** No response is a page, except `/docs`, which sets its own policy. */
const noPage = "default-src 'none'; frame-ancestors 'none'"
/** One year, in s. Sent if the client connected over TLS, as the proxy reports it. */
const transport = 'max-age=31536000'

/** Adds security headers for browsers to every response. */
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
