import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { checkBody } from '../../protocol/codec.ts'
import { httpRoutes } from '../../protocol/http.ts'
import { parseRecipient } from '../../protocol/names.ts'
import { SendStream } from '../delivery/send-batch.ts'
import type { NodeContext } from '../node/node-context.ts'
import { send } from '../operations/send.ts'
import { routeOptions } from './route-options.ts'

/** Each call is a stream of its own. A caller that needs an order waits for one call before the next. */
export const messageRoutes: FastifyPluginAsyncTypebox<{ node: NodeContext }> = async (app, { node }) => {
  const { send: route } = httpRoutes

  app.post(route.path, { schema: route.schema, ...routeOptions(app, route) }, async (request, reply) => {
    const { id, kind = 'message', ...message } = request.body
    checkBody(message.body)
    const { username } = request.getLogin()
    await node.userRates.spendMessage(username, parseRecipient(message.to, node.config.domain), message.body.length)
    const stream = new SendStream(`http:${request.id}`)
    const { seq, queued } = await send(node, stream, username, { id, kind, ...message })
    return reply.code(202).send({ id, seq, queued })
  })
}
