import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { httpRoutes } from '../../protocol/http.ts'
import type { NodeContext } from '../node/node-context.ts'
import { fetchCard, publishCard } from '../operations/cards.ts'
import { costOf } from '../rate-limits/frame-rules.ts'
import { routeOptions } from './route-options.ts'

export const cardRoutes: FastifyPluginAsyncTypebox<{ node: NodeContext }> = async (app, { node }) => {
  const { getCard: get, publishCard: publish, removeCard: remove } = httpRoutes
  const cost = costOf('publish_card')

  app.get(get.path, { schema: get.schema, ...routeOptions(app, get) }, request =>
    fetchCard(node, request.getLogin().username, request.params.username),
  )

  app.put(publish.path, { schema: publish.schema, ...routeOptions(app, publish, cost) }, async (request, reply) => {
    await publishCard(node, request.getLogin().username, request.body.card)
    return reply.code(204).send(null)
  })

  app.delete(remove.path, { schema: remove.schema, ...routeOptions(app, remove, cost) }, async (request, reply) => {
    await publishCard(node, request.getLogin().username, undefined)
    return reply.code(204).send(null)
  })
}
