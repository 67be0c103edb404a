import { isIP } from 'node:net'
import type { FastifyInstance } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import type { NodeContext } from '../../node/node-context.ts'

/** An address with a port, as some proxies write it: `192.0.2.1:5000`, `[2001:db8::1]:5000`, `[2001:db8::1]`. */
const withPort = /^(?:\[(?<v6>[0-9a-f:.]+)\](?::\d{1,5})?|(?<v4>\d{1,3}(?:\.\d{1,3}){3}):\d{1,5})$/i

/** Returns the address of one entry of `X-Forwarded-For`, without a port. Any other text is returned as it is. */
export function withoutPort(entry: string): string {
  const text = entry.trim()
  const parts = withPort.exec(text)?.groups
  return parts?.v6 ?? parts?.v4 ?? text
}

/**
 * Removes ports from `X-Forwarded-For`, which Fastify reads as addresses. Without this, all clients behind such a proxy
 * would share the limits of one address. Reports once that a trusted proxy writes text that is no address.
 */
export const forwardedFor = fastifyPlugin<{ node: NodeContext }>(
  async (app: FastifyInstance, { node }) => {
    if (node.config.trustProxy.length === 0) return
    let isReported = false
    app.addHook('onRequest', async request => {
      const { headers } = request.raw
      const forwarded = headers['x-forwarded-for']
      if (forwarded === undefined) return
      headers['x-forwarded-for'] = [forwarded].flat().join(',').split(',').map(withoutPort).join(', ')
      if (isReported || isIP(request.ip) !== 0) return
      isReported = true
      node.log.warn('a trusted proxy sends X-Forwarded-For without an address: such clients share one limit')
    })
  },
  { name: 'forwarded-for', fastify: '5.x' },
)
