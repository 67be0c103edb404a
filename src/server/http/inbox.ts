import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { httpRoutes } from '../../protocol/http.ts'
import { onAbort } from '../../util/signal.ts'
import { unavailable } from '../base/to-protocol-error.ts'
import type { NodeContext } from '../node/node-context.ts'
import { ackInbox, readInbox } from '../operations/inbox.ts'
import { routeOptions } from './route-options.ts'

/** The inbox for callers without a WebSocket. `drain` ends every wait. */
export const inboxRoutes: FastifyPluginAsyncTypebox<{ node: NodeContext; drain: AbortSignal }> = async (
  app,
  { node, drain },
) => {
  const { readInbox: read, ackInbox: ack } = httpRoutes

  app.get(read.path, { schema: read.schema, ...routeOptions(app, read) }, async (request, reply) => {
    if (node.isDraining()) throw unavailable('the node is shutting down')
    const over = new AbortController()
    const end = () => over.abort()
    reply.raw.once('close', end)
    // `AbortSignal.any` would add memory to `drain` for each wait, until the node ends.
    const stopWatching = onAbort(drain, end)
    try {
      return await readInbox(node, request.getLogin(), request.query, over.signal)
    } finally {
      reply.raw.off('close', end)
      stopWatching()
    }
  })

  app.post(ack.path, { schema: ack.schema, ...routeOptions(app, ack) }, async (request, reply) => {
    await ackInbox(node, request.getLogin(), request.body)
    return reply.code(204).send(null)
  })
}
