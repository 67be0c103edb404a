import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { httpRoutes } from '../../protocol/http.ts'
import { ackInbox, readInbox } from '../operations/inbox.ts'
import { unavailable } from '../refusal.ts'
import type { RelayNode } from '../relay-node.ts'
import { routeOptions } from './route-options.ts'

/** The inbox for callers that cannot hold a socket. `drain` ends every wait. */
export const inboxRoutes: FastifyPluginAsyncTypebox<{ node: RelayNode; drain: AbortSignal }> = async (
  app,
  { node, drain },
) => {
  const { readInbox: read, ackInbox: ack } = httpRoutes

  app.get(read.path, { schema: read.schema, ...routeOptions(app, read) }, async (request, reply) => {
    if (node.isDraining()) throw unavailable('the node is shutting down')
    const hangUp = new AbortController()
    const onClose = () => hangUp.abort()
    reply.raw.once('close', onClose)
    try {
      return await readInbox(node, request.getSession(), request.query, AbortSignal.any([hangUp.signal, drain]))
    } finally {
      reply.raw.off('close', onClose)
    }
  })

  app.post(ack.path, { schema: ack.schema, ...routeOptions(app, ack) }, async (request, reply) => {
    await ackInbox(node, request.getSession(), request.body)
    return reply.code(204).send(null)
  })
}
